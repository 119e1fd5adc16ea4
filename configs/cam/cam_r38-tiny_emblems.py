"""CAM baseline on a tiny ResNet38d, Emblems."""

_base_ = [
    '../_base_/models/cam_r38-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(interval=1000))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='CAMMetric')],
)
