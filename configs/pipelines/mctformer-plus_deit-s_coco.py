"""MCTformer+ on MS COCO 2014, which is unpublished; what follows the maps is that of SEAM here."""

_base_ = './mctformer-v2_deit-s_coco.py'

title = 'MCTformer+, DeiT-S, MS COCO 2014'
stages = dict(mctformer=dict(config='configs/mctformer/mctformer-plus_deit-s_coco.py'))
