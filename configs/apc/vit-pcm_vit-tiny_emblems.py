"""ViT-PCM on a tiny ViT, Emblems: the strongest patch speaks for the image."""

_base_ = './apc_vit-tiny_emblems.py'

model = dict(
    type='ViTPCM',
    neck=dict(sequence_dropout=0.2),
    cam_head=dict(pooling=dict(k=1, margin=0.0)),
    loss_pce=None,
    refiner=None,
    decode_head=None,
    # crops of a third of the side, as published, cut to whole patches of 8 pixels
    transformation=dict(type='RandomPatchView', crop_size=40, patch_size=8, crop_prob=0.3),
    loss_et=dict(type='PatchEquivarianceLoss', loss_weight=1.0),
    test_cfg=dict(output='patch'),
)
optim_wrapper = dict(paramwise_cfg=dict(new=['neck', 'cam_head']))
