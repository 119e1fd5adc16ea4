"""APC on Emblems, tiny: the CAM baseline, APC from its backbone."""

title = 'APC, tiny ViT, Emblems'
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
    # the baseline, whose backbone takes the place of the ImageNet weights that the paper has
    cam=dict(
        type='Train',
        title='CAM baseline',
        config='configs/cam/cam_deit-tiny_emblems.py',
    ),
    apc=dict(type='Train', config='configs/apc/apc_vit-tiny_emblems.py', pretrained='cam'),
    apc_maps=dict(
        type='MakeCAMs',
        model='apc',
        splits=['val'],
        options={'tta_model.type': 'CAMTTAModel'},
    ),
    par_maps=dict(
        type='RefineMaps',
        cams='apc_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    cams=dict(
        type='Test',
        title='class activation maps of apc',
        model='apc',
        splits=['val'],
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
