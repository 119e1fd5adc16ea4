"""CAM baseline on ResNet38d (Zhou et al., CVPR 2016; backbone as in SEAM)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(448, 448),
)
model = dict(
    type='WeakSegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://resnet38d'),
    ),
    cam_head=dict(type='CAMHead', in_channels=4096, num_classes=21),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.2, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
