"""DeepLabV2 on ResNet-101, pseudo masks of PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/voc12_pseudo.py',
    '../_base_/schedules/sgd_20k_voc.py',
    '../_base_/default_runtime.py',
]

# the paper's; its crops are 321 wide instead of 448
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
