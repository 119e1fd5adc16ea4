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
stages = [
    dict(type='DrawEmblems', name='data', data_root=data_root),
    # the baseline, whose backbone takes the place of the ImageNet weights that the paper has
    dict(
        type='Train',
        name='cam',
        title='CAM baseline',
        config='configs/cam/cam_deit-tiny_emblems.py',
    ),
    dict(
        type='Train', name='toco', config='configs/toco/toco_vit-tiny_emblems.py', pretrained='cam'
    ),
    # the scales are the model's own
    dict(type='MakeCAMs', name='toco_maps', model='toco', splits=['val'], single_scale=True),
    dict(
        type='RefineMaps',
        name='par_maps',
        cams='toco_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    dict(
        type='Test',
        name='cams',
        title='class activation maps of toco',
        model='toco',
        splits=['val'],
        options={'model.test_cfg.output': 'cam'},
    ),
    dict(
        type='Test',
        name='aux_cams',
        title='maps of the auxiliary head of toco',
        model='toco',
        splits=['val'],
        options={'model.test_cfg.output': 'cam', 'model.test_cfg.cam_from': 'aux_cam'},
    ),
    dict(type='Test', name='test', model='toco', splits=['val']),
    dict(
        type='Test',
        name='test_scales',
        title='test of toco, scales',
        model='toco',
        splits=['val'],
        tta=True,
    ),
    dict(
        type='Test',
        name='test_crf',
        title='test of toco, scales, dense CRF',
        model='toco',
        splits=['val'],
        tta=True,
        options={'model.test_cfg.crf': crf},
    ),
]
