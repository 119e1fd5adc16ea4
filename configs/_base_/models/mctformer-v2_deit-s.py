"""MCTformer V2 on DeiT-S (Xu et al., CVPR 2022)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(224, 224),
)
model = dict(
    type='MCTformer',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='TokenViT',
        embed_dims=384,
        num_layers=12,
        num_heads=6,
        patch_size=16,
        img_size=224,
        drop_path_rate=0.1,
        final_norm=False,
        drop_remainder=True,
        # as published: positions of other sizes are shifted; 0.0 for those of the patches
        position_offset=0.1,
        norm_cfg=dict(type='LN', eps=1e-6),
        # the token of every class begins as its class token
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://deit-s'),
    ),
    cam_head=dict(type='TokenScoreHead', num_classes=21),
    patch_head=dict(
        type='CAMHead',
        kernel_size=3,
        bias=True,
        pooling='gap',
        dropout=0.0,
        # PyTorch's default, but for the bias, which begins at 0
        init_cfg=dict(type='Kaiming', layer='Conv2d', a=5**0.5, distribution='uniform'),
    ),
    attention_blocks=3,
    attention_reduce='sum',
    fusion='product',
    refine=True,
    loss_contrast=None,
    # published: True; see docs/mctformer.md
    stretch_maps=False,
    test_cfg=dict(mode='whole', output='cam', bg_score=0.39, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
