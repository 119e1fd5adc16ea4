"""ToCo on a tiny ViT, Emblems; run configs/cam/cam_deit-tiny_emblems.py before."""

_base_ = [
    '../_base_/models/toco_vit-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

max_iters = 600
model = dict(
    # the baseline's backbone takes the place of the ImageNet weights that the paper starts from
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/cam_deit-tiny_emblems/iter_1000.pth',
            prefix='backbone.',
        )
    )
)
colors = [
    dict(
        type='RandomApply',
        transforms=[
            dict(type='JitterColor', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
        ],
        prob=0.8,
    ),
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        channel_weights=(0.114, 0.587, 0.299),
    ),
]
# the paper's 2 pixels of 448
blur = dict(type='BlurImage', max_radius=0.6)
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='AddView',
        name='second_view',
        transforms=[
            dict(type='ZoomIntoPart', size=128, scale=(0.4, 1.0), interpolation='bicubic'),
            dict(type='RandomFlip', prob=0.5),
            *colors,
            dict(type='RandomApply', transforms=[blur], prob=0.1),
            dict(type='RandomApply', transforms=[dict(type='SolarizeImage')], prob=0.2),
        ],
    ),
    dict(type='RandomScaleImage', min_factor=0.5, max_factor=1.5),
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size={{_base_.crop_size}}),
    dict(
        type='AddView',
        name='local_view',
        transforms=[*colors, dict(type='RandomApply', transforms=[blur], prob=0.5)],
    ),
    *colors,
    blur,
    dict(type='PackWeakInputs'),
]
# ScaleMaxTTAModel makes the views itself
tta_pipeline = {{_base_.eval_pipeline}}
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
# what is pretrained learns at a tenth of the rate, as in the paper
optim_wrapper = dict(
    optimizer=dict(lr=4e-4),
    constructor='WeakOptimWrapperConstructor',
    paramwise_cfg=dict(
        new=['cam_head', 'auxiliary_head', 'contrast_head', 'decode_head'],
        bias_lr_mult=1.0,
        bias_decay_mult=1.0,
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=50, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='ImageLabelMetric')],
)
