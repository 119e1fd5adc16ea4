"""SEAM on a ResNet38d of 1/16 of the width, trained from scratch, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
)
model = dict(
    type='SEAM',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        width=1 / 16,
        depths=(1, 1, 1, 1, 1, 1),
        # dilation 4 would span the whole picture of 16 x 16 positions
        dilations=(1, 1, 1),
        dropouts=(0.0, 0.0),
        # there are no pretrained weights to keep
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
    ),
    cam_head=dict(
        type='CAMHead', in_channels=256, num_classes=7, with_background=True, dropout=0.0
    ),
    pcm=dict(
        type='PixelCorrelation',
        # the shallowest: behind them this backbone has one block a stage, and its features tell
        # the emblem from the rest, not one body from another
        in_channels=(16,),
        in_indices=(0,),
        embed_channels=(32,),
        channels=48,
    ),
    transformation=dict(type='EquivariantRescale', scale=0.3),
    loss_er=dict(type='EquivariantLoss'),
    loss_ecr=dict(type='EquivariantCrossLoss', keep_ratio=0.2),
    loss_rvmin=dict(type='MinPoolingLoss', keep_ratio=0.25),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.26, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
