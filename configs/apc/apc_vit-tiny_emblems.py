"""APC on a tiny ViT, Emblems."""

_base_ = [
    '../_base_/models/apc_vit-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

# trained from scratch: nothing is frozen, and it takes longer than convolutions do
max_iters = 2000
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=100, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=1000))
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            # after mirroring, so that the mask stays as the image is
            [dict(type='LoadMaskChecked')],
            [dict(type='PackWeakInputs')],
        ],
    ),
]
test_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU']), dict(type='ImageLabelMetric')]
