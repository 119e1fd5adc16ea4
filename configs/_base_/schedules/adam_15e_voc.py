"""Adam in two steps: 15 epochs of the 10,582 images of VOC train_aug in batches of 16."""

epoch = 661
# the paper trains up to 50 epochs and finds that 15 suffice
max_iters = 15 * epoch
# so long the encoder is frozen, which the config's FreezeHook does
freeze_iters = 2 * epoch

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='MultiStepLR', milestones=[freeze_iters], gamma=0.1, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters)
test_cfg = dict(type='TestLoop')
