"""MCTformer V2 on Emblems, tiny: from image-level labels to a tested DeepLabV1."""

_base_ = './mctformer-plus_deit-tiny_emblems.py'

title = 'MCTformer V2, tiny ViT, Emblems'
stages = dict(
    mctformer=dict(
        title='MCTformer V2', config='configs/mctformer/mctformer-v2_deit-tiny_emblems.py'
    ),
    mctformer_maps=dict(title='maps of MCTformer V2'),
)
