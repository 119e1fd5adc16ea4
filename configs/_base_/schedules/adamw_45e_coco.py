"""AdamW as DeiT is trained: 45 epochs of the 82,783 images of COCO train2014 in batches of 32."""

epoch = 2586
max_iters = 45 * epoch

optim_wrapper = dict(
    type='OptimWrapper',
    # 5e-4 for a batch of 512
    optimizer=dict(type='AdamW', lr=3.125e-05, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# timm's, which steps once an epoch: 1e-6 in two epochs, warm in five, then cosine
param_scheduler = [
    dict(
        type='EpochCosineLR',
        T_max=max_iters,
        step_size=epoch,
        warmup=5,
        start=1e-6,
        eta_min=1e-5,
        by_epoch=False,
    )
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
