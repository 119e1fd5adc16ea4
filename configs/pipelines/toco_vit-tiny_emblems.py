"""ToCo on Emblems, tiny: the CAM baseline, ToCo from its backbone."""

title = 'ToCo, tiny ViT, Emblems'
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
    gaussian=dict(sxy=1, weight=1),
    bilateral=dict(sxy=121, srgb=5, weight=4),
)
stages = dict(
    data=dict(type='DrawEmblems', data_root=data_root),
    # the baseline, whose backbone takes the place of the ImageNet weights that the paper has
    cam=dict(
        type='Train',
        title='CAM baseline',
        config='configs/cam/cam_deit-tiny_emblems.py',
    ),
    toco=dict(type='Train', config='configs/toco/toco_vit-tiny_emblems.py', pretrained='cam'),
    # the scales are the model's own
    toco_maps=dict(type='MakeCAMs', model='toco', splits=['val'], single_scale=True),
    par_maps=dict(
        type='RefineMaps',
        cams='toco_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    cams=dict(
        type='Test',
        title='class activation maps of toco',
        model='toco',
        splits=['val'],
        options={'model.test_cfg.output': 'cam'},
    ),
    aux_cams=dict(
        type='Test',
        title='maps of the auxiliary head of toco',
        model='toco',
        splits=['val'],
        options={'model.test_cfg.output': 'cam', 'model.test_cfg.cam_from': 'aux_cam'},
    ),
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
