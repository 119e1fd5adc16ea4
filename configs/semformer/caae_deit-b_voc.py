"""Class-aware auto-encoder on DeiT-B, PASCAL VOC 2012: the first stage of SemFormer."""

_base_ = [
    '../_base_/models/caae_deit-b.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/schedules/sgd_200e_voc.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='RandomScaleImage', min_factor=1.0, max_factor=3.0),
    dict(type='ZoomIntoPart', size=224),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='PackWeakInputs'),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
# an auto-encoder segments nothing; its pred_score is for metrics of multi-label classification
test_evaluator = dict(_delete_=True, type='SegEvaluator', metrics=[])
