"""APC on PASCAL VOC 2012: one training, tested as the paper does."""

title = 'APC, ViT-B, PASCAL VOC 2012'
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
    gaussian=dict(sxy=3, weight=3),
    bilateral=dict(sxy=64, srgb=5, weight=4),
)
stages = dict(
    apc=dict(type='Train', config='configs/apc/apc_vit-b_voc.py'),
    cams=dict(
        type='Test',
        title='class activation maps of apc',
        model='apc',
        splits=both,
        options={'model.test_cfg.output': 'cam'},
    ),
    test=dict(type='Test', model='apc', splits=['val']),
    test_crf=dict(
        type='Test',
        title='test of apc, dense CRF',
        model='apc',
        splits=['val'],
        options={'model.test_cfg.crf': crf},
    ),
)
