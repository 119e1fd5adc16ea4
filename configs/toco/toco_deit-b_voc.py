"""ToCo on DeiT-B/16, PASCAL VOC 2012."""

_base_ = './toco_vit-b_voc.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='mmwsss://deit-b')))
