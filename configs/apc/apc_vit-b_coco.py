"""APC on ViT-B/16, MS COCO 2014."""

_base_ = [
    '../_base_/models/apc_vit-b.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/adam_15e_coco.py',
    '../_base_/default_runtime.py',
]

model = dict(cam_head=dict(num_classes=81), decode_head=dict(num_classes=81))
crop_size = (384, 384)
test_size = (960, 960)
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='ResizeLongSide', min_size=448, max_size=768),
    dict(type='RandomFlip', prob=0.5),
    # quarter turns, never by another angle
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=0.5),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='CropWithValidBox', crop_size=crop_size),
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
