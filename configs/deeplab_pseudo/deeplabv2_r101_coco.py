"""DeepLabV2 on ResNet-101, pseudo masks of MS COCO 2014 (no paper has a schedule for it)."""

_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/coco14_pseudo.py',
    '../_base_/schedules/sgd_100k_coco.py',
    '../_base_/default_runtime.py',
]

model = dict(decode_head=dict(num_classes=81))
# the paper's; its crops are 321 wide instead of 448
optim_wrapper = dict(optimizer=dict(lr=2.5e-4))
