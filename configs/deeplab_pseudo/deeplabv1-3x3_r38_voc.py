"""DeepLabV1 on ResNet38d as MCTformer retrains it, pseudo masks of PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/deeplabv1-3x3_r38.py',
    '../_base_/datasets/voc12_pseudo.py',
    '../_base_/schedules/sgd_20k_voc.py',
    '../_base_/default_runtime.py',
]

# 30 epochs of the 10,582 images in batches of 4
max_iters = 79350
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    # published: one factor for all images of a batch
    dict(type='RandomScaleImage', min_factor=0.7, max_factor=1.3),
    dict(type='RandomFlip', prob=0.5),
    # what is smaller is padded by the preprocessor, right and below
    dict(type='RandomCrop', crop_size=(321, 321)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
# ScaleMaxTTAModel makes the views itself, of images as they are
tta_pipeline = {{_base_.eval_pipeline}}
# the published optimiser passes its weight decay, 1e-5, on as momentum, and nothing decays
optim_wrapper = dict(
    optimizer=dict(lr=7e-4, momentum=1e-5, weight_decay=0.0),
    paramwise_cfg=dict(bias_lr_mult=1.0),
)
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters + 1, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
