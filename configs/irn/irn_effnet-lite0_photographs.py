"""IRN's boundary branch on a frozen EfficientNet-Lite0, a folder of photographs (Ahn et al., 2019)."""

_base_ = ['../_base_/datasets/photographs_weak.py', '../_base_/default_runtime.py']

max_iters = 200
affinity_label_dir = 'work_dirs/photographs/labels/train'  # --style irn
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadAffinityLabel', label_dir=affinity_label_dir),
    dict(type='ResizeLongSide', min_size=224, max_size=360),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=(256, 256)),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
model = dict(
    type='IRNBoundary',
    data_preprocessor=dict(
        type='WeakDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_after_norm=True,
        size=(256, 256),
    ),
    backbone=dict(
        type='EfficientNetLite',
        variant='lite0',
        output_stride=16,
        out_indices=(1, 2, 3, 4, 5),
        frozen_stages=7,
        norm_cfg=dict(type='BN', requires_grad=False),
        init_cfg=dict(type='Pretrained', checkpoint='mmwsss://efficientnet-lite0'),
    ),
    in_channels=(24, 40, 112, 320, 1280),
    scale_factors=(1, 2, 4, 4, 4),
    embed_channels=32,
    num_groups=4,
    radius=5,
    loss_affinity=dict(type='PairAffinityLoss'),
)
walk = dict(type='CAMWalk', stride=4, beta=10, num_steps=256, affinity='boundary')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-2))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=10, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=10, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=max_iters))
# a boundary is no segmentation: what the random walk makes of it is evaluated
test_evaluator = []
