"""ToCo on ViT-B/16, MS COCO 2014."""

_base_ = [
    '../_base_/models/toco_vit-b.py',
    '../_base_/datasets/coco14_weak.py',
    '../_base_/datasets/three_views.py',
    '../_base_/schedules/adamw_80k_coco.py',
    '../_base_/default_runtime.py',
]

max_iters = 80000
warmup = 1500
power = 0.9
model = dict(
    cam_head=dict(num_classes=81),
    auxiliary_head=dict(num_classes=81),
    decode_head=dict(num_classes=81),
    # the published code sets 0.5 and does not use it
    loss_ctc=dict(temperature=1.0),
    train_cfg=dict(warmup_iters=8000, switch_iters=12000, bg_scores=(0.25, 0.65)),
    test_cfg=dict(bg_score=0.45),
)
test_size = (448, 448)
tta_model = dict(scales=(1.0, 1.25, 1.5), size=test_size, mirror='max', over_scales='sum')
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
# ScaleMaxTTAModel makes the views itself
tta_pipeline = {{_base_.eval_pipeline}}
# published: 4 GPUs with 2 images each
train_dataloader = dict(batch_size=8, dataset=dict(pipeline={{_base_.view_pipeline}}))
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
