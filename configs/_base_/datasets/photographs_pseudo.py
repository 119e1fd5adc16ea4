"""A folder of photographs, some 320 pixels long: trained on pseudo masks."""

dataset_type = 'ImageLevelFolderDataset'
data_root = 'data/photographs'
classes = ('background', 'cat', 'dog')
pseudo_mask_dir = 'work_dirs/photographs/masks/train'
schedule_images = 300
max_size = 320

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    dict(type='ResizeLongSide', min_size=224, max_size=400, interpolation='bilinear'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='RandomCrop', crop_size=(224, 224)),
    dict(type='PackSegInputs'),
]
# one image alone, as init_model and inference_model take it
test_pipeline = [dict(type='LoadImageChecked'), dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale_factor=scale, keep_ratio=True) for scale in (1.0, 1.5)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='PackSegInputs')],
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
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='NumberedInfiniteSampler', shuffle=True),
    dataset=dict(
        type='PseudoMaskDataset',
        # lists the images; true masks and tags are not used
        dataset=photographs,
        data_prefix=dict(seg_map_path=pseudo_mask_dir),
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**photographs, test_mode=True, pipeline=test_pipeline),
)
test_evaluator = dict(type='MaskMetric', format_only=True)
