"""IRN's boundary branch on a frozen ResNet38d of 1/16 of the width, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
    test_cfg=dict(size=(128, 128)),
)
model = dict(
    type='IRNBoundary',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        width=1 / 16,
        depths=(1, 1, 1, 1, 1, 1),
        # dilation 4 would span the whole picture of 16 x 16 positions
        dilations=(1, 1, 1),
        dropouts=(0.0, 0.0),
        frozen_stages=6,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
    ),
    in_channels=(16, 32, 64, 256),
    scale_factors=(1, 2, 2, 2),
    embed_channels=32,
    num_groups=4,
    radius=10,
    loss_affinity=dict(type='PairAffinityLoss'),
)
# paper: radius 10, 256 steps, which cross the whole picture of 32 x 32 positions
walk = dict(type='CAMWalk', stride=4, beta=10, num_steps=16, affinity='boundary', radius=5)
