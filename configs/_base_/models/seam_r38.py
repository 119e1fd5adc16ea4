"""SEAM on ResNet38d (Wang et al., CVPR 2020)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(448, 448),
)
model = dict(
    type='SEAM',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet38d',
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://resnet38d'),
    ),
    cam_head=dict(type='CAMHead', in_channels=4096, num_classes=21, with_background=True),
    pcm=dict(type='PixelCorrelation', in_channels=(512, 1024), in_indices=(1, 2)),
    transformation=dict(type='EquivariantRescale', scale=0.3),
    loss_er=dict(type='EquivariantLoss'),
    loss_ecr=dict(type='EquivariantCrossLoss', keep_ratio=0.2),
    loss_rvmin=dict(type='MinPoolingLoss', keep_ratio=0.25),
    # the background score of the published inference
    test_cfg=dict(mode='whole', output='cam', bg_score=0.26, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
