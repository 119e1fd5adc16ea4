"""ToCo on PASCAL VOC 2012: one training, tested as the paper does."""

title = 'ToCo, ViT-B, PASCAL VOC 2012'
data_root = 'data/VOCdevkit/VOC2012'
classes = 'voc'
seed = 0
images = f'{data_root}/JPEGImages'
masks = f'{data_root}/SegmentationClass'
splits = dict(
    train=dict(split='train', images=images, masks=masks),
    val=dict(split='val', images=images, masks=masks),
)
both = ['train', 'val']
crf = dict(
    type='DenseCRF',
    num_iters=10,
    gaussian=dict(sxy=1, weight=1),
    bilateral=dict(sxy=121, srgb=5, weight=4),
)
stages = dict(
    toco=dict(type='Train', config='configs/toco/toco_vit-b_voc.py'),
    cams=dict(
        type='Test',
        title='class activation maps of toco',
        model='toco',
        splits=both,
        options={'model.test_cfg.output': 'cam'},
    ),
    aux_cams=dict(
        type='Test',
        title='maps of the auxiliary head of toco',
        model='toco',
        splits=both,
        options={'model.test_cfg.output': 'cam', 'model.test_cfg.cam_from': 'aux_cam'},
    ),
    # squashed, one scale: what the paper's code calls val
    test=dict(type='Test', model='toco', splits=['val']),
    test_scales=dict(
        type='Test',
        title='test of toco, scales',
        model='toco',
        splits=['val'],
        tta=True,
    ),
    test_crf=dict(
        type='Test',
        title='test of toco, scales, dense CRF',
        model='toco',
        splits=['val'],
        tta=True,
        options={'model.test_cfg.crf': crf},
    ),
)
