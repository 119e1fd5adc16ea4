"""AdamW with linear decay: 20,000 iterations, 15 epochs of VOC train_aug, in batches of 8."""

max_iters = 20000
warmup = 1500

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    constructor='WeakOptimWrapperConstructor',
    # biases learn and decay as weights do
    paramwise_cfg=dict(
        new=['cam_head', 'affinity_head', 'decode_head'], bias_lr_mult=1.0, bias_decay_mult=1.0
    ),
)
# 1e-6 to 1 in `warmup` iterations, then 1 - i / N with i counted from the start: it jumps down
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=warmup + 1, by_epoch=False),
    dict(
        type='ConstantLR',
        factor=1 - warmup / max_iters,
        begin=warmup,
        end=max_iters + 1,
        by_epoch=False,
    ),
    dict(type='PolyLR', power=1.0, eta_min=0.0, begin=warmup, end=max_iters + 1, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
