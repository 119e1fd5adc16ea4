"""IRN's boundary branch on ResNet-50, MS COCO 2014 (the schedule is that of VOC)."""

_base_ = [
    '../_base_/models/irn_r50.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/sgd_3e_coco.py',
    '../_base_/default_runtime.py',
]

affinity_label_dir = 'work_dirs/seam_r38_coco/irn_labels'  # --style irn
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadAffinityLabel', label_dir=affinity_label_dir),
    dict(type='ResizeLongSide', min_size=320, max_size=640),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=(512, 512)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
# a boundary is no segmentation: what the random walk makes of it is evaluated
test_evaluator = dict(_delete_=True, type='SegEvaluator', metrics=[])
