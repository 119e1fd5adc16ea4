"""AFA on MiT-B1 (Ru et al., CVPR 2022)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    # crops are padded before they are normalised: black stays black
    pad_after_norm=False,
    size=(512, 512),
)
model = dict(
    type='AFA',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='AttentionMiT',
        embed_dims=64,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        strides=[4, 2, 2, 1],
        sr_ratios=[8, 4, 2, 1],
        drop_path_rate=0.1,
        # the encoder's norms stay as ImageNet left them
        norm_cfg=dict(type='LN', eps=1e-6, requires_grad=False),
        embed_norm_cfg=dict(type='LN', eps=1e-5, requires_grad=False),
        attention_blocks=(-2, -1),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://mit-b1'),
    ),
    cam_head=dict(
        type='CAMHead',
        in_channels=512,
        num_classes=21,
        pooling='gmp',
        pool_on='features',
        dropout=0.0,
    ),
    affinity_head=dict(type='AffinityHead'),
    decode_head=dict(
        type='LinearSegformerHead',
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        loss_decode=dict(type='BalancedCrossEntropyLoss', loss_weight=0.1),
    ),
    cam_scales=(1.0, 0.5, 1.5),
    refiner=dict(type='PAR', num_iters=10),
    loss_affinity=dict(type='AffinityMatrixLoss', loss_weight=0.1),
    # 1e-7 of the energy itself, times 0.01
    loss_reg=dict(type='DenseEnergyLoss', loss_weight=1e-9),
    train_cfg=dict(warmup_iters=2000, switch_iters=6000, bg_scores=(0.35, 0.55)),
    # scores of class activation maps and of spread ones are evaluated with
    test_cfg=dict(
        mode='whole', output='seg', bg_score=0.45, spread_bg_score=0.35, use_image_labels=True
    ),
)
tta_model = dict(type='ScaleMaxTTAModel', scales=(1.0, 0.5, 0.75), long_side=512)
