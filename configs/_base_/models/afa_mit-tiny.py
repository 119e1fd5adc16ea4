"""AFA on a MiT of a quarter of the width or less, trained from scratch, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=False,
    size=(128, 128),
)
model = dict(
    type='AFA',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='AttentionMiT',
        embed_dims=16,
        num_layers=[1, 1, 1, 2],
        num_heads=[1, 2, 4, 4],
        patch_sizes=[7, 3, 3, 3],
        # stride 8 where the paper has 16: at 16 an emblem is hardly larger than a cell
        strides=[4, 2, 1, 1],
        sr_ratios=[8, 4, 2, 1],
        drop_path_rate=0.1,
        norm_cfg=dict(type='LN', eps=1e-6),
        embed_norm_cfg=dict(type='LN', eps=1e-5),
        attention_blocks=(-2, -1),
    ),
    cam_head=dict(
        type='CAMHead',
        in_channels=64,
        num_classes=7,
        pooling=dict(type='AdaptiveKPooling', k=12, margin=0.0),
        dropout=0.0,
    ),
    affinity_head=dict(type='AffinityHead'),
    decode_head=dict(
        type='LinearSegformerHead',
        in_channels=[16, 32, 64, 64],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.1,
        num_classes=7,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_decode=dict(type='BalancedCrossEntropyLoss', loss_weight=0.1),
    ),
    cam_scales=(1.0, 0.5),
    # a sixth of the image's side at the largest scale, as the paper's 8 cells are
    radius=3,
    refiner=dict(type='PAR', num_iters=10),
    loss_affinity=dict(type='AffinityMatrixLoss', loss_weight=0.1),
    # 1e-7 of the energy itself, times 0.01. It is not brought to this size, reference_size=512,
    # with which it would act 256 times as strongly: the figures were measured so.
    loss_reg=dict(type='DenseEnergyLoss', loss_weight=1e-9, reference_size=None),
    # The paper's background scores lie around the best one of its maps. These maps are peaks on
    # emblems, whose best one is near 0: with a score of 0.25 what PAR makes of them is right, with
    # 0.08 it is complete. The affinity of so small a network stays rougher than PAR: masks come
    # from the maps to the end.
    train_cfg=dict(warmup_iters=50, switch_iters=None, bg_scores=(0.08, 0.25)),
    test_cfg=dict(
        mode='whole', output='seg', bg_score=0.1, spread_bg_score=0.1, use_image_labels=True
    ),
)
tta_model = dict(type='ScaleMaxTTAModel', scales=(1.0, 0.75), long_side=128)
