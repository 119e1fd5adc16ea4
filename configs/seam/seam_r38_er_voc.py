"""SEAM's equivariant regularisation alone, without pixel correlation, PASCAL VOC 2012."""

_base_ = './seam_r38_voc.py'

model = dict(pcm=None, loss_ecr=None, loss_rvmin=None, test_cfg=dict(maps='raw'))
optim_wrapper = dict(paramwise_cfg=dict(new=['cam_head']))
