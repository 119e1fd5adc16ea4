"""AFA on DeiT-S, whose attention AffinityHead reads as well, PASCAL VOC 2012."""

_base_ = './afa_mit-b1_voc.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TokenViT',
        embed_dims=384,
        num_layers=12,
        num_heads=6,
        patch_size=16,
        img_size=512,
        # one stride, 16, at every depth
        out_indices=(2, 5, 8, 11),
        attention_blocks=(-2, -1),
        drop_path_rate=0.1,
        norm_cfg=dict(type='LN', eps=1e-6, requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://deit-s'),
    ),
    cam_head=dict(in_channels=384),
    decode_head=dict(in_channels=[384] * 4),
)
