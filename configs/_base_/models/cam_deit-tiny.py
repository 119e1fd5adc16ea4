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
        # From 2,000 images a ViT alone does not learn what a shape is; these see 23 pixels, an
        # emblem.
        stem_channels=(24, 48),
        stem_depth=2,
        # without it attention carries the class to all positions, and maps are high everywhere
        drop_path_rate=0.7,
    ),
    # 12 of 256 patches are about an emblem
    cam_head=dict(
        type='CAMHead',
        in_channels=96,
        num_classes=7,
        pooling=dict(type='AdaptiveKPooling', k=12, margin=0.0),
        dropout=0.0,
    ),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.2, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
