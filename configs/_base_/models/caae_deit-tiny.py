"""Class-aware auto-encoder on the backbone of cam_deit-tiny.py, for Emblems."""

data_preprocessor = dict(
    type='WeakDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_after_norm=True,
    size=(128, 128),
)
model = dict(
    type='ClassAwareAutoEncoder',
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
    embed_head=dict(
        type='ClassEmbedHead', in_channels=96, num_classes=7, embed_channels=32, merge='sum'
    ),
    decoder=dict(type='PatchDecodeHead', embed_dims=96, num_layers=1, num_heads=3, patch_size=8),
    loss_similarity=dict(type='SimilarityLoss', loss_weight=1.0),
    loss_reconstruction=dict(type='ReconstructionLoss', loss_weight=1.0),
)
