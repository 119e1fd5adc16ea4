"""APC on ViT-B/16, PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/apc_vit-b.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/schedules/adam_15e_voc.py',
    '../_base_/default_runtime.py',
]

crop_size = (384, 384)
test_size = (960, 960)
train_pipeline = [
    dict(type='LoadImageChecked'),
    # Sec. 4.1: resized to this size, aspect ratio not kept; apc_vit-b_crop_voc.py crops
    dict(type='Resize', scale=crop_size),
    # both together are the eight ways to lay a square, each as likely
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=1.0),
    # as ViT-PCM's published code, whose brightness changes by at most 0.2 of 255 levels
    dict(type='JitterColor', contrast=(0.5, 2.0), saturation=0.5, hue=0.1, gray_prob=0.1),
    dict(type='PackWeakInputs'),
]
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='Resize', scale=test_size),
    dict(type='PackWeakInputs'),
]
eval_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='Resize', scale=test_size),
    # after resizing, so that the mask stays as large as the image
    dict(type='LoadMaskChecked'),
    dict(type='PackWeakInputs'),
]
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=test_size)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadMaskChecked')],
            [dict(type='PackWeakInputs')],
        ],
    ),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=eval_pipeline))
# the encoder begins to learn in the third epoch
custom_hooks = [
    dict(type='ExactResumeHook'),
    dict(type='FreezeHook', modules=['backbone'], until={{_base_.freeze_iters}}),
]
default_hooks = dict(checkpoint=dict(interval={{_base_.epoch}}))
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='ImageLabelMetric')],
)
