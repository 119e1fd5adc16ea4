"""AffinityNet on ResNet38d, MS COCO 2014 (no paper has a COCO schedule; that of VOC is used)."""

_base_ = [
    '../_base_/models/affinitynet_r38.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/sgd_8e_coco.py',
    '../_base_/default_runtime.py',
]

affinity_label_dir = 'work_dirs/seam_r38_coco/affinity_labels'  # --style psa
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadAffinityScores', label_dir=affinity_label_dir),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='CropWithValidBox', crop_size=(448, 448)),
    dict(type='FuseAffinityScores', stride=8),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# lr 0.01 as SEAM trains it; AffinityNet's own code has 0.1
optim_wrapper = dict(paramwise_cfg=dict(new=['embeds', 'project']))
# features are no segmentation: what the random walk makes of them is evaluated
test_evaluator = dict(_delete_=True, type='SegEvaluator', metrics=[])
