"""CAM baseline on the backbone of afa_mit-tiny.py, trained from scratch, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=False,
    size=(128, 128),
)
model = dict(
    type='WeakSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='AttentionMiT',
        embed_dims=16,
        num_layers=[1, 1, 1, 2],
        num_heads=[1, 2, 4, 4],
        patch_sizes=[7, 3, 3, 3],
        strides=[4, 2, 1, 1],
        sr_ratios=[8, 4, 2, 1],
        # without it attention carries the class to all positions, and maps are high everywhere
        drop_path_rate=0.4,
        norm_cfg=dict(type='LN', eps=1e-6),
        embed_norm_cfg=dict(type='LN', eps=1e-5),
    ),
    # AFA has the maximum; 12 of 256 positions are about an emblem
    cam_head=dict(
        type='CAMHead',
        in_channels=64,
        num_classes=7,
        pooling=dict(type='AdaptiveKPooling', k=12, margin=0.0),
        dropout=0.0,
    ),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.2, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
