"""SemFormer on DeiT-S, MS COCO 2014 (not in the paper; the schedule is that of VOC)."""

_base_ = [
    '../_base_/models/semformer_deit-s.py',
    '../_base_/datasets/coco14_weak.py',
    # as many iterations as on VOC, which are 2.6 epochs here
    '../_base_/schedules/sgd_20e_voc.py',
    '../_base_/default_runtime.py',
]

model = dict(
    cam_head=dict(num_classes=81),
    caae=dict(
        embed_head=dict(num_classes=81),
        init_cfg=dict(checkpoint='work_dirs/caae_deit-b_coco/iter_33000.pth'),
    ),
    # images show many classes, each of which is two parts for the auto-encoder
    caae_chunk=64,
)
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
test_dataloader = dict(dataset=dict(pipeline=eval_pipeline))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='CAMMetric')],
)
