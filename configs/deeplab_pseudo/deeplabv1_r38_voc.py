"""DeepLabV1 on ResNet38d, pseudo masks of PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/deeplabv1_r38.py',
    '../_base_/datasets/voc12_pseudo.py',
    '../_base_/schedules/sgd_20k_voc.py',
    '../_base_/default_runtime.py',
]
