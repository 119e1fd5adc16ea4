"""DeepLabV1 with a large field of view on ResNet38d, as SEAM and SemFormer retrain."""

# as published: statistics move, scale and shift are in no group of the optimiser
norm_cfg = dict(type='SyncBN', requires_grad=False, momentum=3e-4)
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
        type='ResNet38d',
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://resnet38d'),
    ),
    decode_head=dict(
        type='LargeFOVHead',
        in_channels=4096,
        channels=512,
        dilation=12,
        dropout_ratio=0.5,
        num_classes=21,
        norm_cfg=norm_cfg,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(
        mode='whole',
        crf=dict(type='DenseCRF', num_iters=1, bilateral=dict(sxy=32, srgb=13, weight=10)),
    ),
)
tta_model = dict(type='CRFTTAModel')
