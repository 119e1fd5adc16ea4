"""A folder of tagged photographs, some 320 pixels long: trained on their tags."""

dataset_type = 'ImageLevelFolderDataset'
data_root = 'data/photographs'
classes = ('background', 'cat', 'dog')
scales = [1.0, 1.5]
# what the schedules are made for, and the longer side of the photographs in pixels
schedule_images = 300
max_size = 320

# nothing here opens a mask
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='ResizeLongSide', min_size=224, max_size=360),
    dict(type='RandomFlip', prob=0.5),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='CropWithValidBox', crop_size=(192, 192)),
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

photographs = dict(
    type=dataset_type,
    data_root=data_root,
    metainfo=dict(classes=classes),
    image_labels='labels.csv',
    data_prefix=dict(img_path='images'),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='NumberedInfiniteSampler', shuffle=True),
    dataset=dict(**photographs, pipeline=train_pipeline),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**photographs, test_mode=True, pipeline=test_pipeline),
)
test_evaluator = dict(type='MaskMetric', format_only=True)
