"""Class-aware auto-encoder of SemFormer on DeiT-B (Chen et al., 2022)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(224, 224),
)
model = dict(
    type='ClassAwareAutoEncoder',
    data_preprocessor=data_preprocessor,
    # patch tokens alone: neither class token nor distillation token
    backbone=dict(
        type='TokenViT',
        embed_dims=768,
        num_layers=12,
        num_heads=12,
        patch_size=16,
        img_size=224,
        norm_cfg=dict(type='LN', eps=1e-6),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://deit-b-distilled'),
    ),
    embed_head=dict(
        type='ClassEmbedHead', in_channels=768, num_classes=21, embed_channels=256, merge='sum'
    ),
    decoder=dict(
        type='PatchDecodeHead',
        embed_dims=768,
        num_layers=8,
        num_heads=12,
        patch_size=16,
        norm_cfg=dict(type='LN', eps=1e-5),
    ),
    loss_similarity=dict(type='SimilarityLoss', loss_weight=1.0),
    loss_reconstruction=dict(type='ReconstructionLoss', loss_weight=1.0),
)
