"""ViT-PCM on ViT-B/16, PASCAL VOC 2012: the strongest patch speaks for the image."""

_base_ = './apc_vit-b_voc.py'

crop_size = (384, 384)
colors = dict(type='JitterColor', contrast=(0.5, 2.0), saturation=0.5, hue=0.1, gray_prob=0.1)
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='Resize', scale=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=1.0),
    dict(type='AddSecondView', transforms=[colors]),
    colors,
    dict(type='PackWeakInputs'),
]
model = dict(
    type='ViTPCM',
    neck=dict(sequence_dropout=0.2),
    cam_head=dict(pooling=dict(k=1, margin=0.0), loss_cls=dict(loss_weight=1.0)),
    loss_pce=None,
    refiner=None,
    decode_head=None,
    transformation=dict(type='RandomPatchView', crop_size=128, patch_size=16, crop_prob=0.3),
    loss_et=dict(type='PatchEquivarianceLoss', loss_weight=1.0),
    test_cfg=dict(output='patch'),
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
# 0.01 |W|^2 of the classifier in the published loss: Adam adds the decay to the gradient
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.02),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(decay_mult=0), neck=dict(decay_mult=0))),
)
# 80 epochs, the encoder frozen in the first; the published code stops early by masks of val
max_iters = 52880
freeze_iters = 661
param_scheduler = [dict(type='MultiStepLR', milestones=[freeze_iters], gamma=0.1, by_epoch=False)]
train_cfg = dict(max_iters=max_iters)
custom_hooks = [
    dict(type='ExactResumeHook'),
    dict(type='FreezeHook', modules=['backbone'], until=freeze_iters),
]
