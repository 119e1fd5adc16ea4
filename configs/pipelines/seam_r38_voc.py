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
stages = [
    dict(type='Train', name='seam', title='SEAM', config='configs/seam/seam_r38_voc.py'),
    dict(type='MakeCAMs', name='seam_maps', title='CAMs of SEAM', model='seam', splits=both),
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
        config='configs/affinitynet/affinitynet_r38_voc.py',
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
        title='pseudo masks',
        cams='walks',
        splits=both,
        bg_score=0.5,
    ),
    dict(
        type='Train',
        name='segmentation',
        title='DeepLabV1 on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv1_r38_voc.py',
        masks='masks',
    ),
    dict(
        type='Test',
        name='test',
        title='DeepLabV1, six scales, dense CRF',
        model='segmentation',
        splits=['val'],
        tta=True,
    ),
]
