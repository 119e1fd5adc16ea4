"""SemFormer on PASCAL VOC 2012: from image-level labels to a tested DeepLabV1, as published."""

title = 'SemFormer, DeiT-S, PASCAL VOC 2012'
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
    caae=dict(
        type='Train',
        title='class-aware auto-encoder',
        config='configs/semformer/caae_deit-b_voc.py',
    ),
    semformer=dict(
        type='Train',
        title='SemFormer',
        config='configs/semformer/semformer_deit-s_voc.py',
        weights={'model.caae.init_cfg.checkpoint': 'caae'},
    ),
    semformer_maps=dict(
        type='MakeCAMs',
        title='CAMs of SemFormer',
        model='semformer',
        splits=both,
    ),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='semformer_maps',
        style='irn',
        background=[0.11, 0.15],
    ),
    boundary=dict(
        type='Train',
        title='boundary branch of IRN',
        config='configs/irn/irn_r50_voc.py',
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
        bg_score=0.25,
        crf='labels',
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
