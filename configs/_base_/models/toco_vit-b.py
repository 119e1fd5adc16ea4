"""ToCo on ViT-B/16 (Ru et al., CVPR 2023)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    # crops are padded before they are normalised: black stays black
    pad_after_norm=False,
    size=(448, 448),
)
# PyTorch's own, as published
init = dict(
    type='Kaiming',
    layer='Conv2d',
    a=5**0.5,
    mode='fan_in',
    nonlinearity='leaky_relu',
    distribution='uniform',
)
cam_head = dict(
    type='CAMHead',
    in_channels=768,
    num_classes=21,
    pooling='gmp',
    pool_on='features',
    dropout=0.0,
    init_cfg=init,
)
model = dict(
    type='ToCo',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='TokenViT',
        embed_dims=768,
        num_layers=12,
        num_heads=12,
        patch_size=16,
        img_size=224,
        num_class_tokens=1,
        # blocks 10, before the last norm, and 12, behind it
        out_indices=(-3, -1),
        frozen_positions=True,
        drop_remainder=True,
        norm_cfg=dict(type='LN', eps=1e-6),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://vit-b16-224'),
    ),
    cam_head=dict(**cam_head, in_index=-1),
    auxiliary_head=dict(
        **cam_head,
        in_index=0,
        loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_name='loss_cls_aux'),
    ),
    contrast_head=dict(
        type='MeanTeacher', module=dict(type='ProjectionHead', in_channels=768), momentum=0.9
    ),
    decode_head=dict(
        type='DilatedConvHead',
        in_channels=768,
        channels=512,
        num_convs=2,
        dilation=5,
        num_classes=21,
        align_corners=False,
        loss_decode=dict(type='BalancedCrossEntropyLoss', loss_weight=0.1),
    ),
    cam_scales=(1.0, 0.5, 1.5),
    num_crops=8,
    crop_size=96,
    refiner=dict(type='PAR', num_iters=10),
    loss_ptc=dict(type='PatchTokenContrastLoss', loss_weight=0.2),
    loss_ctc=dict(type='ClassTokenContrastLoss', loss_weight=0.5, temperature=0.5),
    # 1e-7 of the energy itself, times 0.05; a sum over pairs of pixels, as published, which means
    # something else with crops of another size
    loss_reg=dict(type='DenseEnergyLoss', loss_weight=5e-9, reference_size=None),
    train_cfg=dict(warmup_iters=2000, switch_iters=-1, bg_scores=(0.25, 0.7)),
    test_cfg=dict(mode='whole', output='seg', cam_from='cam', bg_score=0.5, use_image_labels=True),
)
# on VOC; COCO's is in its configs
tta_model = dict(type='ScaleMaxTTAModel', scales=(1.0, 1.5, 1.25), mirror='sum', at_image_size=True)
