"""SEAM on Emblems, tiny: from image-level labels to a tested DeepLabV1."""

title = 'SEAM, tiny ResNet38d, Emblems'
data_root = 'data/emblems'
classes = dict(data_root=data_root)
seed = 0
images = f'{data_root}/JPEGImages'
masks = f'{data_root}/SegmentationClass'
splits = dict(
    train=dict(split='train', images=images, masks=masks),
    val=dict(split='val', images=images, masks=masks),
)
both = ['train', 'val']
stages = dict(
    data=dict(type='DrawEmblems', data_root=data_root),
    # the baseline, whose backbone takes the place of the ImageNet weights that the papers have
    cam=dict(type='Train', title='CAM baseline', config='configs/cam/cam_r38-tiny_emblems.py'),
    cam_maps=dict(type='MakeCAMs', title='CAMs of the baseline', model='cam', splits=['val']),
    seam=dict(
        type='Train',
        title='SEAM',
        config='configs/seam/seam_r38-tiny_emblems.py',
        pretrained='cam',
    ),
    seam_maps=dict(type='MakeCAMs', title='CAMs of SEAM', model='seam', splits=both),
    par_maps=dict(
        type='RefineMaps',
        cams='seam_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='seam_maps',
        style='psa',
    ),
    affinity=dict(
        type='Train',
        title='AffinityNet',
        config='configs/affinitynet/affinitynet_r38-tiny_emblems.py',
        pretrained='cam',
        labels='labels',
    ),
    walks=dict(
        type='MakeWalks',
        title='random walks',
        model='affinity',
        cams='seam_maps',
        splits=both,
    ),
    masks=dict(
        type='MakePseudoMasks',
        title='pseudo masks, dense CRF',
        cams='walks',
        splits=both,
        bg_alpha=1,
        crf='probs',
    ),
    segmentation=dict(
        type='Train',
        title='DeepLabV1 on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv1_r38-tiny_emblems.py',
        pretrained='cam',
        masks='masks',
    ),
    test=dict(
        type='Test',
        title='DeepLabV1, mirrored, dense CRF',
        model='segmentation',
        splits=['val'],
        tta=True,
    ),
)
