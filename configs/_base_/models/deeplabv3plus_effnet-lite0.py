"""MMSeg's DeepLabV3+ (Chen et al., ECCV 2018) on EfficientNet-Lite0, for photographs on a CPU."""

data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=(224, 224),
    pad_val=0,
    seg_pad_val=255,
)
model = dict(
    type='CRFEncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='EfficientNetLite',
        variant='lite0',
        output_stride=32,
        # the last one is what the classifier sees, and tells classes best
        out_indices=(1, 5),
        # the classifier that it comes from knows them better than pseudo masks can tell
        frozen_stages=8,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://efficientnet-lite0'),
    ),
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_channels=1280,
        in_index=1,
        channels=128,
        dilations=(1, 3, 6, 9),
        c1_in_channels=24,
        c1_channels=24,
        dropout_ratio=0.1,
        num_classes=3,
        norm_cfg=dict(type='BN', requires_grad=True),
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='CRFTTAModel')
