"""CAM baseline on EfficientNet-Lite0, a folder of tagged photographs."""

_base_ = [
    '../_base_/models/cam_effnet-lite0.py',
    '../_base_/datasets/photographs_weak.py',
    '../_base_/default_runtime.py',
]

max_iters = 200
# at 1e-3 for all, one of two trainings learned nothing
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, weight_decay=1e-2),
    paramwise_cfg=dict(custom_keys=dict(cam_head=dict(lr_mult=10.0))),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=10, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=10, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=max_iters))
