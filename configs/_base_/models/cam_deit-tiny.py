"""CAM baseline on the backbone of semformer_deit-tiny.py, trained from scratch, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
)
model = dict(
    type='WeakSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='TokenViT',
        embed_dims=96,
        num_layers=3,
        num_heads=3,
        patch_size=8,
        img_size=128,
        # that of SemFormer's classes later
        num_class_tokens=1,
        # from 2,000 images a ViT alone does not learn what a shape is
        stem_channels=(24, 48),
    ),
    # an emblem is a few of 256 patches, which an average hardly shows
    cam_head=dict(
        type='CAMHead',
        in_channels=96,
        num_classes=7,
        pooling='gmp',
        pool_on='features',
        dropout=0.0,
    ),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.2, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
