"""CAM baseline on a backbone of MMPretrain (to be installed beside), PASCAL VOC 2012."""

_base_ = './cam_r38_voc.py'

custom_imports = dict(imports=['mmwsss', 'mmpretrain.models'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.ResNet',
        depth=50,
        strides=(1, 2, 2, 1),  # output stride 16
        out_indices=(3,),
        norm_eval=True,
        frozen_stages=1,
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://resnet50'),
    ),
    cam_head=dict(in_channels=2048),
)
