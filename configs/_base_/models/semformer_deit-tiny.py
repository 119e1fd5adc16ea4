"""SemFormer on the backbone of cam_deit-tiny.py, guided by caae_deit-tiny.py, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
)
model = dict(
    type='SemFormer',
    data_preprocessor=data_preprocessor,
    # patches of 8 pixels, since an emblem is only 20 wide
    backbone=dict(
        type='TokenViT',
        embed_dims=96,
        num_layers=3,
        num_heads=3,
        patch_size=8,
        img_size=128,
        stem_channels=(24, 48),
        stem_depth=2,
    ),
    cam_head=dict(type='TokenMaskHead', in_channels=96, num_classes=7, dropout=0.5),
    caae=dict(
        type='ClassAwareAutoEncoder',
        backbone=dict(
            type='TokenViT',
            embed_dims=96,
            num_layers=3,
            num_heads=3,
            patch_size=8,
            img_size=128,
            stem_channels=(24, 48),
            stem_depth=2,
        ),
        embed_head=dict(
            type='ClassEmbedHead', in_channels=96, num_classes=7, embed_channels=32, merge='sum'
        ),
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/caae_deit-tiny_emblems/iter_600.pth'
        ),
    ),
    # paper: half of the image's side, where an emblem would be a patch
    caae_size=128,
    # paper: the last 4 of 12
    cra_blocks=2,
    loss_cf=dict(type='PullPushLoss', loss_weight=1.0),
    loss_cb=dict(type='PullPushLoss', loss_weight=1.0),
    loss_as=dict(type='ActivationSuppressionLoss', loss_weight=0.075),
    loss_ac=dict(type='ActivationComplementationLoss', loss_weight=1.0),
    loss_ss=dict(type='SimilarityLoss', loss_weight=1.0),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.3, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
