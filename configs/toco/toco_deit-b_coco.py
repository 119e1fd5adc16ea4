"""ToCo on DeiT-B/16, MS COCO 2014."""

_base_ = './toco_vit-b_coco.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='mmwsss://deit-b')))
