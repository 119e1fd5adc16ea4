"""AdamW as DeiT is trained: 60 epochs of the 10,582 images of VOC train_aug in batches of 64."""

epoch = 165
max_iters = 60 * epoch

optim_wrapper = dict(
    type='OptimWrapper',
    # 5e-4 for a batch of 512
    optimizer=dict(type='AdamW', lr=6.25e-05, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
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
