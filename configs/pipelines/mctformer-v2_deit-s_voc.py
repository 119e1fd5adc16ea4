"""MCTformer V2 on PASCAL VOC 2012: from image-level labels to a tested DeepLabV1, as published."""

title = 'MCTformer V2, DeiT-S, PASCAL VOC 2012'
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
    mctformer=dict(
        type='Train', title='MCTformer', config='configs/mctformer/mctformer-v2_deit-s_voc.py'
    ),
    mctformer_maps=dict(type='MakeCAMs', title='maps of MCTformer', model='mctformer', splits=both),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='mctformer_maps',
        style='psa',
        background=[1, 12],
    ),
    # published as a file, which ResNet38d starts from in both later trainings
    classifier=dict(
        type='Train', title='classifier on ResNet38d', config='configs/cam/cam_r38_voc.py'
    ),
    affinity=dict(
        type='Train',
        title='AffinityNet',
        config='configs/affinitynet/affinitynet_r38_5e_voc.py',
        pretrained='classifier',
        labels='labels',
    ),
    # a constant background walks along
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
        config='configs/deeplab_pseudo/deeplabv1-3x3_r38_voc.py',
        pretrained='classifier',
        masks='masks',
    ),
    test=dict(
        type='Test',
        title='DeepLabV1, five scales, dense CRF',
        model='segmentation',
        splits=['val'],
        tta=True,
    ),
)
