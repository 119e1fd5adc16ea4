"""ViT-PCM on Emblems, tiny: the CAM baseline, ViT-PCM from its backbone, pseudo masks."""

title = 'ViT-PCM, tiny ViT, Emblems'
data_root = 'data/emblems'
classes = dict(data_root=data_root)
seed = 0
images = f'{data_root}/JPEGImages'
masks = f'{data_root}/SegmentationClass'
splits = dict(
    train=dict(split='train', images=images, masks=masks),
    val=dict(split='val', images=images, masks=masks),
)
# that of ViT-PCM's published code
crf = dict(
    type='DenseCRF',
    num_iters=10,
    gaussian=dict(sxy=1, weight=3),
    bilateral=dict(sxy=67, srgb=3, weight=4),
)
stages = dict(
    data=dict(type='DrawEmblems', data_root=data_root),
    # the baseline, whose backbone takes the place of the ImageNet weights that the paper has
    cam=dict(
        type='Train',
        title='CAM baseline',
        config='configs/cam/cam_deit-tiny_emblems.py',
    ),
    vit_pcm=dict(
        type='Train',
        config='configs/apc/vit-pcm_vit-tiny_emblems.py',
        pretrained='cam',
    ),
    vit_pcm_maps=dict(
        type='MakeCAMs',
        model='vit_pcm',
        splits=['val'],
        options={'tta_model.type': 'CAMTTAModel'},
    ),
    par_maps=dict(
        type='RefineMaps',
        cams='vit_pcm_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    # the background that was learned decides: no score has to be chosen
    masks=dict(
        type='Test',
        title='pseudo masks, dense CRF',
        model='vit_pcm',
        splits=['val'],
        options={'model.test_cfg.crf': crf},
    ),
)
