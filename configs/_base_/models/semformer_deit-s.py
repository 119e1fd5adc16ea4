"""SemFormer's segmentation network on DeiT-S, guided by the auto-encoder of caae_deit-b.py."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(448, 448),
)
model = dict(
    type='SemFormer',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='TokenViT',
        embed_dims=384,
        num_layers=12,
        num_heads=6,
        patch_size=16,
        img_size=448,
        norm_cfg=dict(type='LN', eps=1e-6),
        # the token of every class begins as its class token
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://deit-s'),
    ),
    cam_head=dict(type='TokenMaskHead', in_channels=384, num_classes=21, dropout=0.5),
    # the first stage without its decoder; its weights get no gradient
    caae=dict(
        type='ClassAwareAutoEncoder',
        backbone=dict(
            type='TokenViT',
            embed_dims=768,
            num_layers=12,
            num_heads=12,
            patch_size=16,
            img_size=224,
            norm_cfg=dict(type='LN', eps=1e-6),
        ),
        embed_head=dict(
            type='ClassEmbedHead', in_channels=768, num_classes=21, embed_channels=256, merge='sum'
        ),
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/caae_deit-b_voc/iter_33000.pth'),
    ),
    caae_size=224,
    cra_blocks=4,
    loss_cf=dict(type='PullPushLoss', loss_weight=1.0),
    loss_cb=dict(type='PullPushLoss', loss_weight=1.0),
    loss_as=dict(type='ActivationSuppressionLoss', loss_weight=0.075),
    loss_ac=dict(type='ActivationComplementationLoss', loss_weight=1.0),
    loss_ss=dict(type='SimilarityLoss', loss_weight=1.0),
    test_cfg=dict(mode='whole', output='cam', bg_score=0.3, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
