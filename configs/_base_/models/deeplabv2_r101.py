"""DeepLabV2 (Chen et al., TPAMI 2018) on MMSeg's ResNet-101."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    pad_after_norm=True,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=(448, 448),
    pad_val=0,
    seg_pad_val=255,
)
model = dict(
    type='CRFEncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet',
        depth=101,
        dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1),  # output stride 8
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='mmwsss://resnet101',
        ),
    ),
    decode_head=dict(
        type='DeepLabV2Head',
        in_channels=2048,
        dilations=(6, 12, 18, 24),
        num_classes=21,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='whole'),
)
tta_model = dict(type='CRFTTAModel')
