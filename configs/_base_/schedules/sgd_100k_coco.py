"""SGD with poly decay: 100,000 iterations, 12 epochs of COCO train2014, in batches of 10."""

max_iters = 100000

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=5e-4),
    constructor='WeakOptimWrapperConstructor',
    paramwise_cfg=dict(new=['decode_head']),
)
# PolyLR counts one iteration less than it is given: this is exactly lr * (1 - i / N) ** 0.9
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters + 1, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
