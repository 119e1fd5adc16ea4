"""IRN's boundary branch on a tiny frozen ResNet38d, Emblems; labels from the tiny SEAM's maps."""

_base_ = [
    '../_base_/models/irn_r38-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

max_iters = 500
affinity_label_dir = 'work_dirs/seam_r38-tiny_emblems/irn_labels'  # --style irn
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadAffinityLabel', label_dir=affinity_label_dir),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    # the baseline's backbone takes the place of the ImageNet weights of a ResNet-50
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/cam_r38-tiny_emblems/iter_1000.pth',
            prefix='backbone.',
        )
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=50, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
# a boundary is no segmentation: what the random walk makes of it is evaluated
test_evaluator = dict(_delete_=True, type='SegEvaluator', metrics=[])
