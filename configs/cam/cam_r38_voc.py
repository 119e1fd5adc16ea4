"""CAM baseline on ResNet38d, PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/cam_r38.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/schedules/sgd_8e_voc.py',
    '../_base_/default_runtime.py',
]

# figures for CAMs are those on the 1,464 images of train, as in the papers
test_dataloader = dict(dataset=dict(ann_file='train'))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='CAMMetric')],
)
