"""Emblems: trained on image-level labels, evaluated with the masks of the validation split."""

dataset_type = 'EmblemsDataset'
data_root = 'data/emblems'
crop_size = (128, 128)
scales = [0.5, 1.0, 1.5, 2.0]

# nothing here opens a mask
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackWeakInputs'),
]
# for transformers: maps are made at several sizes, all of which they have to have seen
scaled_train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='RandomScaleImage', min_factor=0.5, max_factor=1.5),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=crop_size),
    dict(type='PackWeakInputs'),
]
# one image alone, as init_model and inference_model take it
test_pipeline = [dict(type='LoadImageChecked'), dict(type='PackWeakInputs')]
eval_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    dict(type='PackWeakInputs'),
]
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

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='NumberedInfiniteSampler', shuffle=True),
    dataset=dict(type=dataset_type, data_root=data_root, ann_file='train', pipeline=train_pipeline),
)
# training validates nothing: masks would choose the checkpoint of a weakly supervised model
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        test_mode=True,
        pipeline=eval_pipeline,
    ),
)
test_evaluator = dict(type='MaskMetric', iou_metrics=['mIoU'])
