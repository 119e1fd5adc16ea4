"""CAM baseline on MMSeg's ResNet-50, PASCAL VOC 2012."""

_base_ = './cam_r38_voc.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),  # output stride 16
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        frozen_stages=1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='mmwsss://resnet50',
        ),
    ),
    cam_head=dict(in_channels=2048),
)
