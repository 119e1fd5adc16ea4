"""MCTformer V2 on MS COCO 2014; what follows the maps is unpublished and that of SEAM here."""

title = 'MCTformer V2, DeiT-S, MS COCO 2014'
data_root = 'data/coco2014'
classes = 'coco'
seed = 0
masks = f'{data_root}/SegmentationClass'
splits = dict(
    train=dict(
        split='instances_train2014',
        images=f'{data_root}/train2014',
        # made by tools/dataset_converters/coco2voc_masks.py, if at all
        masks=f'{masks}/train2014',
        options={'test_dataloader.dataset.data_prefix.img_path': 'train2014'},
    ),
    val=dict(split='instances_val2014', images=f'{data_root}/val2014', masks=f'{masks}/val2014'),
)
both = ['train', 'val']
stages = dict(
    mctformer=dict(
        type='Train', title='MCTformer', config='configs/mctformer/mctformer-v2_deit-s_coco.py'
    ),
    mctformer_maps=dict(type='MakeCAMs', title='maps of MCTformer', model='mctformer', splits=both),
    labels=dict(
        type='MakeAffinityLabels',
        title='affinity labels',
        cams='mctformer_maps',
        style='psa',
        background=[1, 12],
    ),
    affinity=dict(
        type='Train',
        title='AffinityNet',
        config='configs/affinitynet/affinitynet_r38_coco.py',
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
        config='configs/deeplab_pseudo/deeplabv1_r38_coco.py',
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
