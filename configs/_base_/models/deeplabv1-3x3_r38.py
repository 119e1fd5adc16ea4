"""DeepLabV1 on ResNet38d whose classifier is a dilated convolution, too, as MCTformer retrains."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    pad_after_norm=True,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    size=(321, 321),
    pad_val=0,
    # as published: what lies beyond the image is background
    seg_pad_val=0,
)
model = dict(
    type='CRFEncoderDecoder',
    data_preprocessor=data_preprocessor,
    # the first convolution and all norms are frozen
    backbone=dict(
        type='ResNet38d',
        # the classifier of configs/cam/cam_r38_voc.py, in the place of the one that was published
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/cam_r38_voc/iter_10576.pth', prefix='backbone.'
        ),
    ),
    decode_head=dict(
        type='DilatedConvHead',
        in_channels=4096,
        channels=512,
        num_convs=1,
        dilation=12,
        bias=True,
        classifier_size=3,
        num_classes=21,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        init_cfg=dict(type='Xavier', layer='Conv2d', distribution='uniform'),
    ),
    test_cfg=dict(
        mode='whole',
        crf=dict(
            type='DenseCRF',
            num_iters=10,
            gaussian=dict(sxy=3, weight=4),
            bilateral=dict(sxy=83, srgb=5, weight=3),
        ),
    ),
)
# views are made of the normalised image, without mirror
tta_model = dict(
    type='ScaleMaxTTAModel',
    scales=(0.5, 0.75, 1.0, 1.25, 1.5),
    mirror=None,
    at_image_size=True,
    softmax=True,
    align_corners=True,
)
