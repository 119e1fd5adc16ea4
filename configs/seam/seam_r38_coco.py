"""SEAM on ResNet38d, MS COCO 2014 (the paper has no COCO schedule; that of VOC is used)."""

_base_ = [
    '../_base_/models/seam_r38.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/sgd_8e_coco.py',
    '../_base_/default_runtime.py',
]

model = dict(cam_head=dict(num_classes=81))
optim_wrapper = dict(paramwise_cfg=dict(new=['cam_head', 'pcm']))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='CAMMetric')],
)
