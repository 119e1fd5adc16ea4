"""SEAM on EfficientNet-Lite0, a folder of tagged photographs."""

_base_ = '../cam/cam_effnet-lite0_photographs.py'

model = dict(
    type='SEAM',
    # the maps of the second branch would be 2 x 2 at stride 32
    backbone=dict(output_stride=16, out_indices=(2, 3, 5)),
    cam_head=dict(with_background=True),
    pcm=dict(
        _delete_=True,
        type='PixelCorrelation',
        in_channels=(40, 112),
        in_indices=(0, 1),
    ),
    transformation=dict(type='EquivariantRescale', scale=0.5),
    loss_er=dict(type='EquivariantLoss'),
    loss_ecr=dict(type='EquivariantCrossLoss', keep_ratio=0.2),
    loss_rvmin=dict(type='MinPoolingLoss', keep_ratio=0.25),
)
