"""IRN's boundary branch on a frozen ResNet-50 (Ahn et al., CVPR 2019)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(512, 512),
    # as large as in training, since group norm makes the boundary depend on the padding
    test_cfg=dict(size=(512, 512)),
)
model = dict(
    type='IRNBoundary',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetWithStem',
        depth=50,
        strides=(1, 2, 2, 1),  # output stride 16
        frozen_stages=4,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='mmwsss://resnet50',
        ),
    ),
    in_channels=(64, 256, 512, 1024, 2048),
    scale_factors=(1, 1, 2, 4, 4),
    embed_channels=32,
    num_groups=4,
    radius=10,
    loss_affinity=dict(type='PairAffinityLoss'),
)
walk = dict(type='CAMWalk', stride=4, beta=10, num_steps=256, affinity='boundary')
