"""SemFormer on DeiT-S, PASCAL VOC 2012; run configs/semformer/caae_deit-b_voc.py before."""

_base_ = [
    '../_base_/models/semformer_deit-s.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/schedules/sgd_20e_voc.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='ResizeLongSide', min_size=224, max_size=896),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=(448, 448)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# sides are multiples of a patch, so that maps lie on the image
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='ScaleImage', scale_factor=1.0, size_divisor=16),
    dict(type='PackWeakInputs'),
]
eval_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='ScaleImage', scale_factor=1.0, size_divisor=16),
    dict(type='LoadMaskChecked'),
    dict(type='PackWeakInputs'),
]
scales = [0.5, 1.0, 1.5, 2.0]
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='ScaleImage', scale_factor=scale, size_divisor=16) for scale in scales],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            # after scaling, so that the mask stays as large as the image; make_cams.py drops it
            [dict(type='LoadMaskChecked')],
            [dict(type='PackWeakInputs')],
        ],
    ),
]
# figures for CAMs are those on the 1,464 images of train, as in the paper
test_dataloader = dict(dataset=dict(ann_file='train', pipeline=eval_pipeline))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='CAMMetric')],
)
