"""AFA on MiT-B1, PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/afa_mit-b1.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/schedules/adamw_20k_voc.py',
    '../_base_/default_runtime.py',
]

crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='RandomScaleImage', min_factor=0.5, max_factor=2.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# ScaleMaxTTAModel makes the views itself
tta_pipeline = {{_base_.eval_pipeline}}
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='ImageLabelMetric')],
)
