"""ToCo on the backbone of cam_deit-tiny.py, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=False,
    size=(128, 128),
)
# the mean of the 12 highest of 256 positions, about an emblem
pooling = dict(type='AdaptiveKPooling', k=12, margin=0.0)
model = dict(
    type='ToCo',
    data_preprocessor=data_preprocessor,
    # patches of 8 pixels, since an emblem is only 20 wide
    backbone=dict(
        type='TokenViT',
        embed_dims=96,
        num_layers=3,
        num_heads=3,
        patch_size=8,
        img_size=128,
        num_class_tokens=1,
        stem_channels=(24, 48),
        stem_depth=2,
        # blocks 2, before the last norm, and 3, behind it
        out_indices=(-2, -1),
        frozen_positions=True,
        drop_remainder=True,
    ),
    cam_head=dict(
        type='CAMHead', in_channels=96, num_classes=7, in_index=-1, pooling=pooling, dropout=0.0
    ),
    auxiliary_head=dict(
        type='CAMHead',
        in_channels=96,
        num_classes=7,
        in_index=0,
        pooling=pooling,
        dropout=0.0,
        loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_name='loss_cls_aux'),
    ),
    contrast_head=dict(
        type='MeanTeacher',
        module=dict(
            type='ProjectionHead',
            in_channels=96,
            hidden_channels=256,
            bottleneck_channels=64,
            out_channels=128,
        ),
        momentum=0.9,
    ),
    decode_head=dict(
        type='DilatedConvHead',
        in_channels=96,
        channels=64,
        num_convs=2,
        # as far as the paper's 5 cells of 28 reach
        dilation=3,
        num_classes=7,
        align_corners=False,
        loss_decode=dict(type='BalancedCrossEntropyLoss', loss_weight=0.1),
    ),
    cam_scales=(1.0, 0.5),
    num_crops=8,
    crop_size=32,
    refiner=dict(type='PAR', num_iters=10),
    loss_ptc=dict(type='PatchTokenContrastLoss', loss_weight=0.2),
    loss_ctc=dict(type='ClassTokenContrastLoss', loss_weight=0.5, temperature=0.5),
    loss_reg=dict(type='DenseEnergyLoss', loss_weight=5e-9, reference_size=None),
    # The paper's scores lie around the best one of its maps. These maps are peaks on emblems, whose
    # best one is near 0.
    train_cfg=dict(warmup_iters=50, switch_iters=-1, bg_scores=(0.08, 0.25)),
    test_cfg=dict(mode='whole', output='seg', cam_from='cam', bg_score=0.1, use_image_labels=True),
)
tta_model = dict(type='ScaleMaxTTAModel', scales=(1.0, 1.25), mirror='sum', at_image_size=True)
