"""SEAM on PASCAL VOC 2012: from image-level labels to a tested DeepLabV1, as published."""

title = 'SEAM, ResNet38d, PASCAL VOC 2012'
data_root = 'data/VOCdevkit/VOC2012'
classes = 'voc'
seed = 0
images = f'{data_root}/JPEGImages'
masks = f'{data_root}/SegmentationClass'
lists = f'{data_root}/ImageSets/Segmentation'
splits = dict(
    # everything is trained on the 10,582 of train_aug and measured on the 1,464 of train
    train=dict(split='train_aug', images=images, masks=masks, names=f'{lists}/train.txt'),
    val=dict(split='val', images=images, masks=masks, names=f'{lists}/val.txt'),
)
both = ['train', 'val']
stages = dict(
    seam=dict(type='Train', title='SEAM', config='configs/seam/seam_r38_voc.py'),
    seam_maps=dict(type='MakeCAMs', title='CAMs of SEAM', model='seam', splits=both),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='seam_maps',
        style='psa',
    ),
    affinity=dict(
        type='Train',
        title='AffinityNet',
        config='configs/affinitynet/affinitynet_r38_voc.py',
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
        title='pseudo masks',
        cams='walks',
        splits=both,
        bg_score=0.5,
    ),
    segmentation=dict(
        type='Train',
        title='DeepLabV1 on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv1_r38_voc.py',
        masks='masks',
    ),
    test=dict(
        type='Test',
        title='DeepLabV1, six scales, dense CRF',
        model='segmentation',
        splits=['val'],
        tta=True,
    ),
)
