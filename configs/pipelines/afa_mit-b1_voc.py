"""AFA on PASCAL VOC 2012: one training, tested as the paper does."""

title = 'AFA, MiT-B1, PASCAL VOC 2012'
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
    afa=dict(type='Train', config='configs/afa/afa_mit-b1_voc.py'),
    cams=dict(
        type='Test',
        title='class activation maps of afa',
        model='afa',
        splits=both,
        options={'model.test_cfg.output': 'cam'},
    ),
    affinity_cams=dict(
        type='Test',
        title='maps of afa, spread',
        model='afa',
        splits=both,
        options={'model.test_cfg.output': 'affinity_cam'},
    ),
    test=dict(type='Test', model='afa', splits=['val'], tta=True),
    test_crf=dict(
        type='Test',
        title='test of afa, dense CRF',
        model='afa',
        splits=['val'],
        tta=True,
        options={'model.test_cfg.crf': crf},
    ),
)
