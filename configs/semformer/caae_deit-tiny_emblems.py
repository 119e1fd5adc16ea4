"""Class-aware auto-encoder, tiny, Emblems; run configs/cam/cam_deit-tiny_emblems.py before."""

_base_ = [
    '../_base_/models/caae_deit-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

max_iters = 600
model = dict(
    # the baseline's backbone takes the place of the ImageNet weights that the paper starts from
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/cam_deit-tiny_emblems/iter_1000.pth',
            prefix='backbone.',
        )
    )
)
train_dataloader = dict(dataset=dict(pipeline={{_base_.scaled_train_pipeline}}))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=50, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
# an auto-encoder segments nothing; its pred_score is for metrics of multi-label classification
test_evaluator = dict(_delete_=True, type='SegEvaluator', metrics=[dict(type='ImageLabelMetric')])
