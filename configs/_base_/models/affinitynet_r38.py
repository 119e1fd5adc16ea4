"""AffinityNet on ResNet38d (Ahn and Kwak, CVPR 2018)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    # crops are padded before they are normalised: black stays black
    pad_after_norm=False,
    size=(448, 448),
    # the random walk averages the maps over blocks of 8 x 8 pixels
    test_cfg=dict(size_divisor=8),
)
model = dict(
    type='AffinityNet',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://resnet38d'),
    ),
    in_channels=(512, 1024, 4096),
    in_indices=(1, 2, 3),
    embed_channels=(64, 128, 256),
    radius=5,
    loss_affinity=dict(type='PairAffinityLoss'),
)
# SEAM's settings; AffinityNet's own code has bg_alpha 16 and 256 steps
walk = dict(
    type='CAMWalk',
    stride=8,
    bg_alpha=6,
    beta=8,
    num_steps=64,
    affinity='features',
    pairs='published',
)
