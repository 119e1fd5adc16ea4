"""MCTformer+ on PASCAL VOC 2012; what follows the maps is that of V2, as none is published."""

_base_ = './mctformer-v2_deit-s_voc.py'

title = 'MCTformer+, DeiT-S, PASCAL VOC 2012'
stages = dict(mctformer=dict(config='configs/mctformer/mctformer-plus_deit-s_voc.py'))
