"""MCTformer V1 on DeiT-S, MS COCO 2014 (unpublished; the settings are those of V2)."""

_base_ = ['./mctformer-v2_deit-s_coco.py']

model = dict(patch_head=None, fusion='attention')
