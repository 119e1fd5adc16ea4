"""PASCAL VOC 2012: trained on the tags of train_aug, evaluated with the masks of val."""

dataset_type = 'ImageLevelVOCDataset'
data_root = 'data/VOCdevkit/VOC2012'
crop_size = (448, 448)
scales = [0.5, 1.0, 1.5, 2.0]

# nothing here opens a mask
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='ResizeLongSide', min_size=448, max_size=768),
    dict(type='RandomFlip', prob=0.5),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
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
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='NumberedDefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='train_aug',
        image_labels='Annotations',
        data_prefix=dict(img_path='JPEGImages'),
        pipeline=train_pipeline,
    ),
)
# training validates nothing: masks would choose the checkpoint of a weakly supervised model
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val',
        image_labels='Annotations',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        test_mode=True,
        pipeline=eval_pipeline,
    ),
)
test_evaluator = dict(type='MaskMetric', iou_metrics=['mIoU'])
