"""DeepLabV3+ on ResNet-101, pseudo masks of MS COCO 2014 (no paper has a schedule for it)."""

_base_ = [
    '../_base_/models/deeplabv3plus_r101.py',
    '../_base_/datasets/coco14_pseudo.py',
    '../_base_/schedules/sgd_100k_coco.py',
    '../_base_/default_runtime.py',
]

model = dict(decode_head=dict(num_classes=81), auxiliary_head=dict(num_classes=81))
# MMSeg's, with one learning rate for all
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
)
