"""DeepLabV1 on a ResNet38d of 1/16 of the width, for Emblems."""

norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=(128, 128),
    pad_val=0,
    seg_pad_val=255,
)
model = dict(
    type='CRFEncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        width=1 / 16,
        depths=(1, 1, 1, 1, 1, 1),
        # dilation 4 would span the whole picture of 16 x 16 positions
        dilations=(1, 1, 1),
        dropouts=(0.0, 0.0),
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
    ),
    decode_head=dict(
        type='LargeFOVHead',
        in_channels=256,
        channels=64,
        # paper: 12, of 56 x 56 positions
        dilation=3,
        dropout_ratio=0.5,
        num_classes=7,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(
        mode='whole',
        crf=dict(type='DenseCRF', num_iters=1, bilateral=dict(sxy=32, srgb=13, weight=10)),
    ),
)
tta_model = dict(type='CRFTTAModel')
