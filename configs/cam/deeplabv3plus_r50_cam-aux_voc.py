"""MMSeg's DeepLabV3+ on ResNet-50 with a CAM head as auxiliary head, PASCAL VOC 2012 masks."""

_base_ = ['../_base_/datasets/voc12_weak.py', '../_base_/default_runtime.py']

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='WeakDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_after_norm=True,
        size=(448, 448),
    ),
    backbone=dict(
        type='ResNetV1c',
        depth=50,
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),
        norm_cfg=norm_cfg,
        contract_dilation=True,
    ),
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
        dropout_ratio=0.1,
        num_classes=21,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    # image-level labels from the tags; from the masks where a pipeline ends in PackSegInputs
    auxiliary_head=dict(type='CAMHead', in_channels=2048, num_classes=21, pooling='gmp'),
    test_cfg=dict(mode='whole'),
)
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=(448, 448)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(
    dataset=dict(
        ann_file='train',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        pipeline=train_pipeline,
    )
)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
)
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, end=20001, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
test_cfg = dict(type='TestLoop')
