"""MCTformer+ on the backbone of cam_deit-tiny.py, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
)
model = dict(
    type='MCTformer',
    data_preprocessor=data_preprocessor,
    # patches of 8 pixels, since an emblem is only 20 wide
    backbone=dict(
        type='TokenViT',
        embed_dims=96,
        num_layers=3,
        num_heads=3,
        patch_size=8,
        img_size=128,
        stem_channels=(24, 48),
        stem_depth=2,
        drop_path_rate=0.1,
        final_norm=False,
        drop_remainder=True,
        position_offset=0.0,
    ),
    cam_head=dict(type='TokenScoreHead', num_classes=7),
    patch_head=dict(
        type='CAMHead',
        kernel_size=3,
        bias=True,
        # half of the weight lies on some 12 of 256 patches, about an emblem; paper: 0.996 of 784
        pooling=dict(type='RankingPooling', decay=0.95),
        dropout=0.0,
        init_cfg=dict(type='Kaiming', layer='Conv2d', a=5**0.5, distribution='uniform'),
    ),
    shared_token=False,
    attention_blocks=None,  # all
    attention_reduce='mean',
    fusion='sqrt',
    refine=True,
    contrast_blocks=None,
    loss_contrast=dict(type='ContrastiveClassTokenLoss', loss_weight=1.0),
    stretch_maps=False,
    test_cfg=dict(mode='whole', output='cam', bg_score=0.4, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
