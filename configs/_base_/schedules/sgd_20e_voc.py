"""SGD with poly decay: 20 epochs of the 10,582 images of VOC train_aug in batches of 8."""

max_iters = 26440

optim_wrapper = dict(
    type='OptimWrapper',
    # the published optimiser passes its weight decay on as momentum: 5e-4 is the real one
    optimizer=dict(type='SGD', lr=0.005, momentum=5e-4, weight_decay=5e-4, nesterov=True),
    constructor='WeakOptimWrapperConstructor',
    paramwise_cfg=dict(
        new=['cam_head', 'embed_head', 'backbone.class_tokens', 'backbone.class_pos_embed'],
        as_bias=['backbone.class_tokens', 'backbone.class_pos_embed', 'backbone.pos_embed'],
    ),
)
# PolyLR counts one iteration less than it is given: this is exactly lr * (1 - i / N) ** 0.9
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters + 1, by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
