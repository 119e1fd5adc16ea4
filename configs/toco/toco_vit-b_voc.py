"""ToCo on ViT-B/16, PASCAL VOC 2012."""

_base_ = [
    '../_base_/models/toco_vit-b.py',
    '../_base_/datasets/voc12_weak.py',
    '../_base_/datasets/three_views.py',
    '../_base_/schedules/adamw_20k_voc.py',
    '../_base_/default_runtime.py',
]

max_iters = 20000
warmup = 1500
power = 0.9
test_size = (448, 448)
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='Resize', scale=test_size),
    dict(type='PackWeakInputs'),
]
eval_pipeline = [
    dict(type='LoadImageChecked'),
    # aspect ratio not kept: what the published figures without scales are of
    dict(type='Resize', scale=test_size),
    # after resizing, so that the mask stays as large as the image
    dict(type='LoadMaskChecked'),
    dict(type='PackWeakInputs'),
]
# ScaleMaxTTAModel makes the views itself, of images as they are
tta_pipeline = {{_base_.eval_pipeline}}
# published: 2 GPUs with 2 images each
train_dataloader = dict(batch_size=4, dataset=dict(pipeline={{_base_.view_pipeline}}))
test_dataloader = dict(dataset=dict(pipeline=eval_pipeline))
optim_wrapper = dict(
    paramwise_cfg=dict(new=['cam_head', 'auxiliary_head', 'contrast_head', 'decode_head'])
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=warmup + 1, by_epoch=False),
    dict(
        type='ConstantLR',
        factor=(1 - warmup / max_iters) ** power,
        begin=warmup,
        end=max_iters + 1,
        by_epoch=False,
    ),
    dict(type='PolyLR', power=power, eta_min=0.0, begin=warmup, end=max_iters + 1, by_epoch=False),
]
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[dict(type='MaskMetric', iou_metrics=['mIoU']), dict(type='ImageLabelMetric')],
)
