"""Classifier on a tiny MiT, Emblems: what stands for the ImageNet weights of a MiT."""

_base_ = './cam_mit-tiny_emblems.py'

# From random weights the mean of all positions learns soonest, without drop path. Its maps are high
# everywhere: the baseline, cam_mit-tiny_emblems.py, goes on from its backbone.
max_iters = 2000
model = dict(
    backbone=dict(drop_path_rate=0.0, init_cfg=None),
    cam_head=dict(pooling='gap'),
)
# at the baseline's 0.002, what goes on from it does not learn the tags with every seed
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=100, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=100, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
