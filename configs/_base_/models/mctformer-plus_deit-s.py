"""MCTformer+ on DeiT-S (Xu et al., TPAMI 2024)."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(448, 448),
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
        img_size=448,
        drop_path_rate=0.1,
        final_norm=False,
        drop_remainder=True,
        # each position of the 14 x 14 that DeiT has is that of 2 x 2 patches
        position_init='nearest',
        norm_cfg=dict(type='LN', eps=1e-6),
        # the token of every class begins as its class token
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://deit-s'),
    ),
    cam_head=dict(type='TokenScoreHead', num_classes=21),
    patch_head=dict(
        type='CAMHead',
        kernel_size=3,
        bias=True,
        pooling=dict(type='RankingPooling', decay=0.996),
        dropout=0.0,
        # PyTorch's default, but for the bias, which begins at 0
        init_cfg=dict(type='Kaiming', layer='Conv2d', a=5**0.5, distribution='uniform'),
    ),
    attention_blocks=None,  # all
    attention_reduce='mean',
    fusion='sqrt',
    refine=True,
    contrast_blocks=None,
    loss_contrast=dict(type='ContrastiveClassTokenLoss', loss_weight=1.0),
    # published: True; see docs/mctformer.md
    stretch_maps=False,
    test_cfg=dict(mode='whole', output='cam', bg_score=0.4, use_image_labels=True),
)
tta_model = dict(type='CAMTTAModel')
