"""SemFormer on Emblems, tiny: from image-level labels to a tested DeepLabV1."""

title = 'SemFormer, tiny ViT, Emblems'
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
    cam=dict(
        type='Train',
        title='CAM baseline',
        config='configs/cam/cam_deit-tiny_emblems.py',
    ),
    # peaks on emblems, which are lost at half the size
    cam_maps=dict(
        type='MakeCAMs',
        title='CAMs of the baseline',
        model='cam',
        splits=['val'],
        single_scale=True,
    ),
    caae=dict(
        type='Train',
        title='class-aware auto-encoder',
        config='configs/semformer/caae_deit-tiny_emblems.py',
        pretrained='cam',
    ),
    semformer=dict(
        type='Train',
        title='SemFormer',
        config='configs/semformer/semformer_deit-tiny_emblems.py',
        pretrained='cam',
        weights={'model.caae.init_cfg.checkpoint': 'caae'},
    ),
    semformer_maps=dict(
        type='MakeCAMs',
        title='CAMs of SemFormer',
        model='semformer',
        splits=both,
    ),
    par_maps=dict(
        type='RefineMaps',
        cams='semformer_maps',
        splits=['val'],
        # as far as the published distances reach in an image of 384
        par=dict(num_iters=5, dilations=[1, 2, 4, 8]),
    ),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='semformer_maps',
        style='irn',
        # paper: 0.11 and 0.15; an emblem takes so much of a map that a body has hardly anything
        background=[0.0005, 0.01],
    ),
    # what the ResNets of the later stages start from
    classifier=dict(
        type='Train',
        title='classifier on ResNet38d',
        config='configs/cam/cam_r38-tiny_emblems.py',
    ),
    boundary=dict(
        type='Train',
        title='boundary branch of IRN',
        config='configs/irn/irn_r38-tiny_emblems.py',
        pretrained='classifier',
        labels='labels',
    ),
    walks=dict(
        type='MakeWalks',
        title='random walks',
        model='boundary',
        cams='semformer_maps',
        splits=both,
    ),
    masks=dict(
        type='MakePseudoMasks',
        title='pseudo masks, dense CRF',
        cams='walks',
        splits=both,
        # 0.25 in the paper
        bg_score=0.003,
        crf='labels',
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
