"""SegFormer-B1, pseudo masks of MS COCO 2014 (no paper has a schedule for it)."""

_base_ = [
    '../_base_/models/segformer_mit-b1.py',
    '../_base_/datasets/coco14_pseudo.py',
    '../_base_/schedules/sgd_100k_coco.py',
    '../_base_/default_runtime.py',
]

model = dict(decode_head=dict(num_classes=81))
# MMSeg's, with the length of the other schedules
max_iters = 100000
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            pos_block=dict(decay_mult=0.0), norm=dict(decay_mult=0.0), head=dict(lr_mult=10.0)
        )
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1.0, eta_min=0.0, begin=1500, end=max_iters + 1, by_epoch=False),
]
