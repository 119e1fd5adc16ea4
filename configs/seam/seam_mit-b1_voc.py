"""SEAM with its pixel correlation behind MMSeg's MiT-B1 (SegFormer), PASCAL VOC 2012."""

_base_ = './seam_r38_voc.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='MixVisionTransformer',
        embed_dims=64,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://mit-b1'),
    ),
    cam_head=dict(in_channels=512),
    # features at strides 8 and 16
    pcm=dict(in_channels=(128, 320), in_indices=(1, 2)),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01)
)
