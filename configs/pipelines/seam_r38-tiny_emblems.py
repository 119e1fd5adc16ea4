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
stages = [
    dict(type='DrawEmblems', name='data', data_root=data_root),
    # the baseline, whose backbone takes the place of the ImageNet weights that the papers have
    dict(
        type='Train', name='cam', title='CAM baseline', config='configs/cam/cam_r38-tiny_emblems.py'
    ),
    dict(
        type='MakeCAMs', name='cam_maps', title='CAMs of the baseline', model='cam', splits=['val']
    ),
    dict(
        type='Train',
        name='seam',
        title='SEAM',
        config='configs/seam/seam_r38-tiny_emblems.py',
        pretrained='cam',
    ),
    dict(type='MakeCAMs', name='seam_maps', title='CAMs of SEAM', model='seam', splits=both),
    dict(
        type='RefineMaps',
        name='par_maps',
        cams='seam_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    dict(
        type='MakeAffinityLabels',
        name='labels',
        title='affinity labels',
        cams='seam_maps',
        style='psa',
    ),
    dict(
        type='Train',
        name='affinity',
        title='AffinityNet',
        config='configs/affinitynet/affinitynet_r38-tiny_emblems.py',
        pretrained='cam',
        labels='labels',
    ),
    dict(
        type='MakeWalks',
        name='walks',
        title='random walks',
        model='affinity',
        cams='seam_maps',
        splits=both,
    ),
    dict(
        type='MakePseudoMasks',
        name='masks',
        title='pseudo masks, dense CRF',
        cams='walks',
        splits=both,
        bg_alpha=1,
        crf='probs',
    ),
    dict(
        type='Train',
        name='segmentation',
        title='DeepLabV1 on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv1_r38-tiny_emblems.py',
        pretrained='cam',
        masks='masks',
    ),
    dict(
        type='Test',
        name='test',
        title='DeepLabV1, mirrored, dense CRF',
        model='segmentation',
        splits=['val'],
        tta=True,
    ),
]
