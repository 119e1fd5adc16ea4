"""CAM baseline on EfficientNet-Lite0 (Zhou et al., CVPR 2016), for photographs on a CPU."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(192, 192),
)
model = dict(
    type='WeakSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='EfficientNetLite',
        variant='lite0',
        # trained at the stride of ImageNet, a third of the time; maps are made at stride 16
        output_stride=32,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://efficientnet-lite0'),
    ),
    cam_head=dict(type='CAMHead', in_channels=1280, num_classes=3),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.4, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
