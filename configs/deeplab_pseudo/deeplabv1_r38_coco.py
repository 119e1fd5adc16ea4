"""DeepLabV1 on ResNet38d, pseudo masks of MS COCO 2014 (no paper has a schedule for it)."""

_base_ = [
    '../_base_/models/deeplabv1_r38.py',
    '../_base_/datasets/coco14_pseudo.py',
    '../_base_/schedules/sgd_100k_coco.py',
    '../_base_/default_runtime.py',
]

model = dict(decode_head=dict(num_classes=81))
