"""MCTformer+ on Emblems, tiny: from image-level labels to a tested DeepLabV1."""

title = 'MCTformer+, tiny ViT, Emblems'
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
    # the baseline, whose backbone takes the place of the ImageNet weights that the paper has
    cam=dict(type='Train', title='CAM baseline', config='configs/cam/cam_deit-tiny_emblems.py'),
    # peaks on emblems, which are lost at half the size
    cam_maps=dict(
        type='MakeCAMs',
        title='CAMs of the baseline',
        model='cam',
        splits=['val'],
        single_scale=True,
    ),
    mctformer=dict(
        type='Train',
        title='MCTformer+',
        config='configs/mctformer/mctformer-plus_deit-tiny_emblems.py',
        pretrained='cam',
    ),
    mctformer_maps=dict(
        type='MakeCAMs', title='maps of MCTformer+', model='mctformer', splits=both
    ),
    par_maps=dict(
        type='RefineMaps',
        cams='mctformer_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='mctformer_maps',
        style='psa',
        background=[1, 12],
    ),
    # what the ResNets of the later stages start from
    classifier=dict(
        type='Train',
        title='classifier on ResNet38d',
        config='configs/cam/cam_r38-tiny_emblems.py',
    ),
    affinity=dict(
        type='Train',
        title='AffinityNet',
        config='configs/affinitynet/affinitynet_r38-tiny_emblems.py',
        pretrained='classifier',
        labels='labels',
    ),
    walks=dict(
        type='MakeWalks',
        title='random walks',
        model='affinity',
        cams='mctformer_maps',
        splits=both,
    ),
    masks=dict(
        type='MakePseudoMasks',
        title='pseudo masks',
        cams='walks',
        splits=both,
        bg_score=0.5,
    ),
    segmentation=dict(
        type='Train',
        title='DeepLabV1 on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv1_r38-tiny_emblems.py',
        pretrained='classifier',
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
