"""AFA on MiT-B1 without the regularised loss, as the published code is, PASCAL VOC 2012."""

_base_ = './afa_mit-b1_voc.py'

model = dict(loss_reg=None)
