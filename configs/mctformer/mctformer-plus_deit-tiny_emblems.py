"""MCTformer+, tiny, Emblems; run configs/cam/cam_deit-tiny_emblems.py before."""

_base_ = [
    '../_base_/models/mctformer_deit-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

max_iters = 400
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
train_dataloader = dict(batch_size=16, dataset=dict(pipeline={{_base_.scaled_train_pipeline}}))
# paper: 3.125e-5, of a network that was trained on ImageNet
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=50, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[
        dict(type='MaskMetric', iou_metrics=['mIoU']),
        dict(type='CAMMetric'),
        dict(type='ImageLabelMetric'),
    ],
)
