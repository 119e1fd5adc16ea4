"""AFA on Emblems, tiny: a classifier, the CAM baseline from its backbone, AFA from that one."""

title = 'AFA, tiny MiT, Emblems'
data_root = 'data/emblems'
classes = dict(data_root=data_root)
seed = 0
images = f'{data_root}/JPEGImages'
masks = f'{data_root}/SegmentationClass'
splits = dict(
    train=dict(split='train', images=images, masks=masks),
    val=dict(split='val', images=images, masks=masks),
)
crf = dict(
    type='DenseCRF',
    num_iters=10,
    gaussian=dict(sxy=3, weight=3),
    bilateral=dict(sxy=64, srgb=5, weight=4),
)
stages = [
    dict(type='DrawEmblems', name='data', data_root=data_root),
    # takes the place of the ImageNet weights that the paper has
    dict(
        type='Train',
        name='classifier',
        config='configs/cam/cam_mit-tiny-gap_emblems.py',
    ),
    dict(
        type='Train',
        name='cam',
        title='CAM baseline',
        config='configs/cam/cam_mit-tiny_emblems.py',
        pretrained='classifier',
    ),
    # maps of other sizes make it worse
    dict(type='MakeCAMs', name='cam_maps', model='cam', splits=['val'], single_scale=True),
    dict(type='Train', name='afa', config='configs/afa/afa_mit-tiny_emblems.py', pretrained='cam'),
    # the scales are the model's own
    dict(type='MakeCAMs', name='afa_maps', model='afa', splits=['val'], single_scale=True),
    dict(
        type='RefineMaps',
        name='par_maps',
        cams='afa_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    dict(
        type='Test',
        name='cams',
        title='class activation maps of afa',
        model='afa',
        splits=['val'],
        options={'model.test_cfg.output': 'cam'},
    ),
    dict(
        type='Test',
        name='affinity_cams',
        title='maps of afa, spread',
        model='afa',
        splits=['val'],
        options={'model.test_cfg.output': 'affinity_cam'},
    ),
    dict(type='Test', name='test', model='afa', splits=['val'], tta=True),
    dict(
        type='Test',
        name='test_crf',
        title='test of afa, dense CRF',
        model='afa',
        splits=['val'],
        tta=True,
        options={'model.test_cfg.crf': crf},
    ),
]
