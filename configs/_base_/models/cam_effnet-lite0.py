"""CAMs on EfficientNet-Lite0, refined by correlation of its features, for photographs on a CPU."""

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
        # of strides 8, 16 and 32 for the correlation, and the last one for the head
        out_indices=(2, 3, 4, 5),
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://efficientnet-lite0'),
    ),
    cam_head=dict(type='CAMHead', in_channels=1280, num_classes=3),
    pcm=dict(type='FeatureCorrelation', in_indices=(0, 1, 2)),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.6, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
