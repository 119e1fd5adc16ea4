"""ViT-PCM on a tiny ViT, Emblems: the strongest patch speaks for the image."""

_base_ = './apc_vit-tiny_emblems.py'

model = dict(
    cam_head=dict(pooling=dict(k=1, margin=0.0)),
    loss_pce=None,
    refiner=None,
    decode_head=None,
    test_cfg=dict(output='cam'),
)
optim_wrapper = dict(paramwise_cfg=dict(new=['neck', 'cam_head']))
tta_model = dict(type='CAMTTAModel')
test_evaluator = dict(
    _delete_=True,
    type='SegEvaluator',
    metrics=[
        dict(type='MaskMetric', iou_metrics=['mIoU']),
        dict(type='CAMMetric'),
        dict(type='ImageLabelMetric'),
    ],
)
