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
stages = dict(
    data=dict(type='DrawEmblems', data_root=data_root),
    # takes the place of the ImageNet weights that the paper has
    classifier=dict(
        type='Train',
        config='configs/cam/cam_mit-tiny-gap_emblems.py',
    ),
    cam=dict(
        type='Train',
        title='CAM baseline',
        config='configs/cam/cam_mit-tiny_emblems.py',
        pretrained='classifier',
    ),
    # maps of other sizes make it worse
    cam_maps=dict(type='MakeCAMs', model='cam', splits=['val'], single_scale=True),
    afa=dict(type='Train', config='configs/afa/afa_mit-tiny_emblems.py', pretrained='cam'),
    # the scales are the model's own
    afa_maps=dict(type='MakeCAMs', model='afa', splits=['val'], single_scale=True),
    par_maps=dict(
        type='RefineMaps',
        cams='afa_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    cams=dict(
        type='Test',
        title='class activation maps of afa',
        model='afa',
        splits=['val'],
        options={'model.test_cfg.output': 'cam'},
    ),
    affinity_cams=dict(
        type='Test',
        title='maps of afa, spread',
        model='afa',
        splits=['val'],
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
