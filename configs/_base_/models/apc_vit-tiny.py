"""APC on a twelfth of ViT-B's width and a third of its depth, trained from scratch, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
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
        embed_dims=64,
        num_layers=4,
        num_heads=2,
        patch_size=8,
        img_size=128,
        out_indices=(0, 1, 2, 3),
    ),
    neck=dict(type='HVBiLSTM', in_channels=64, hidden_channels=16, dropout=0.2),
    cam_head=dict(
        type='PatchClassifierHead',
        in_channels=64,
        num_classes=7,
        pooling=dict(type='AdaptiveKPooling', k=6, margin=0.05),
        dropout=0.2,
        loss_cls=dict(type='MultiLabelCrossEntropyLoss', loss_weight=1.0),
    ),
    loss_pce=dict(
        type='PatchContrastiveLoss', loss_weight=0.02, high=0.85, low=0.15, with_background=False
    ),
    # as far as the paper's distances reach in an image of 384
    refiner=dict(type='PAR', num_iters=5, dilations=(1, 2, 4, 8)),
    thresholds=(0.35, 0.55),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[64, 64, 64, 64],
        in_index=[0, 1, 2, 3],
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
