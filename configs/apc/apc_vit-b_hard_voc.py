"""APC on ViT-B/16, PASCAL VOC 2012: the category of a patch is the label of all its pixels."""

_base_ = './apc_vit-b_voc.py'

model = dict(refiner=None, thresholds=None)
