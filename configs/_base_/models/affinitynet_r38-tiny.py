"""AffinityNet on a ResNet38d of 1/16 of the width, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=(128, 128),
    test_cfg=dict(size_divisor=8),
)
model = dict(
    type='AffinityNet',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        width=1 / 16,
        depths=(1, 1, 1, 1, 1, 1),
        # dilation 4 would span the whole picture of 16 x 16 positions
        dilations=(1, 1, 1),
        dropouts=(0.0, 0.0),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
    ),
    in_channels=(32, 64, 256),
    in_indices=(1, 2, 3),
    embed_channels=(16, 32, 64),
    radius=5,
    loss_affinity=dict(type='PairAffinityLoss'),
)
# paper: radius 5, 64 steps, which cross the whole picture of 16 x 16 positions; bg_alpha 6
walk = dict(
    type='CAMWalk', stride=8, bg_alpha=9, beta=8, num_steps=4, affinity='features', radius=3
)
