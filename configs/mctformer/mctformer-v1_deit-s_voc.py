"""MCTformer V1 on DeiT-S, PASCAL VOC 2012: maps are the attention of the class tokens alone."""

_base_ = ['./mctformer-v2_deit-s_voc.py']

model = dict(patch_head=None, fusion='attention')
