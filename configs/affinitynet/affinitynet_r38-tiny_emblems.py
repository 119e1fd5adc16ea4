"""AffinityNet on a tiny ResNet38d, Emblems; labels from the maps of the tiny SEAM."""

_base_ = [
    '../_base_/models/affinitynet_r38-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

max_iters = 500
affinity_label_dir = 'work_dirs/seam_r38-tiny_emblems/affinity_labels'  # --style psa
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadAffinityScores', label_dir=affinity_label_dir),
    dict(type='FuseAffinityScores', stride=8),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    # the baseline's backbone takes the place of the ImageNet weights that the paper starts from
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
# features are no segmentation: what the random walk makes of them is evaluated
test_evaluator = dict(_delete_=True, type='SegEvaluator', metrics=[])
