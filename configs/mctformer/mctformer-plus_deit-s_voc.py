"""MCTformer+ on DeiT-S, PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/mctformer-plus_deit-s.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/schedules/adamw_45e_voc.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='ZoomIntoPart', size=448, scale=(0.08, 1.0), interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='AugmentRandomly', num_operations=2, level=9.0, level_std=0.5),
    dict(type='EraseRandomBox', prob=0.25),
    dict(type='PackWeakInputs'),
]
scales = [1.0, 0.75, 1.25]
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='ScaleImage', scale_factor=scale) for scale in scales],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            # after scaling, so that the mask stays as large as the image; make_cams.py drops it
            [dict(type='LoadMaskChecked')],
            [dict(type='PackWeakInputs')],
        ],
    ),
]
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=train_pipeline))
# the tables of positions decay, since their names are not in the published list
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone.class_tokens': dict(decay_mult=0.0)})
)
# figures for CAMs are those on the 1,464 images of train, as in the paper
test_dataloader = dict(dataset=dict(ann_file='train'))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[
        dict(type='MaskMetric', iou_metrics=['mIoU']),
        dict(type='CAMMetric'),
        dict(type='ImageLabelMetric'),
    ],
)
