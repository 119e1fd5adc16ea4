"""MCTformer V2, tiny, Emblems; run configs/cam/cam_deit-tiny_emblems.py before."""

_base_ = ['./mctformer-plus_deit-tiny_emblems.py']

model = dict(
    # published: the shift of V1 and V2 at other sizes; maps are made at several here
    backbone=dict(position_offset=0.1),
    patch_head=dict(pooling='gap'),
    # paper: the last 3 of 12
    attention_blocks=1,
    attention_reduce='sum',
    fusion='product',
    loss_contrast=None,
)
