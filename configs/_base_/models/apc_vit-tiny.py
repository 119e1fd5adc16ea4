"""APC on the backbone of cam_deit-tiny.py, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
    test_cfg=dict(size_divisor=8),
)
model = dict(
    type='APC',
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
        out_indices=(0, 1, 2),
    ),
    neck=dict(type='HVBiLSTM', in_channels=96, hidden_channels=24, dropout=0.2),
    cam_head=dict(
        type='PatchClassifierHead',
        in_channels=96,
        num_classes=7,
        pooling=dict(type='AdaptiveKPooling', k=6, margin=0.05),
        dropout=0.2,
        loss_cls=dict(type='MultiLabelCrossEntropyLoss', loss_weight=1.0),
    ),
    loss_pce=dict(
        type='PatchContrastiveLoss', loss_weight=0.02, high=0.85, low=0.15, with_background=False
    ),
    refiner=dict(type='PAR', num_iters=10),
    # Peaks on emblems that PAR carries to the bodies are low there.
    thresholds=(0.02, 0.06),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[96, 96, 96],
        in_index=[0, 1, 2],
        channels=32,
        dropout_ratio=0.1,
        num_classes=7,
        align_corners=False,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.1),
    ),
    test_cfg=dict(mode='whole', output='seg', bg_score=0.4, use_image_labels=True),
)
tta_model = dict(type='CRFTTAModel')
