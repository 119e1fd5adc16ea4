"""EfficientNet-Lite0's ImageNet classifier as published: maps of its 1,000 classes, no training."""

_base_ = '../_base_/default_runtime.py'

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(320, 320),
)
model = dict(
    type='WeakSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(type='EfficientNetLite', variant='lite0', output_stride=16, out_indices=(5,)),
    cam_head=dict(type='CAMHead', in_channels=1280, num_classes=1001, dropout=0.0),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.3, use_image_labels=True),
    init_cfg=dict(type='Pretrained', checkpoint='mmwsss://efficientnet-lite0-classifier'),
)
tta_model = dict(type='CAMTTAModel')

# The network learned from objects that fill 224 pixels: maps of larger pictures fall apart.
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LimitLongSide', max_size=320),
    dict(type='PackWeakInputs'),
]
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='LimitLongSide', max_size=size) for size in (224, 320, 448)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='PackWeakInputs')],
        ],
    ),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageLevelFolderDataset',
        data_root='data/photographs',
        image_labels='labels.csv',
        metainfo=dict(classes='imagenet'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_cfg = dict(type='TestLoop')
