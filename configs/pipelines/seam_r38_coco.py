"""SEAM on MS COCO 2014, as on PASCAL VOC: no paper has settings for it."""

title = 'SEAM, ResNet38d, MS COCO 2014'
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
stages = [
    dict(type='Train', name='seam', title='SEAM', config='configs/seam/seam_r38_coco.py'),
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
        config='configs/affinitynet/affinitynet_r38_coco.py',
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
        config='configs/deeplab_pseudo/deeplabv1_r38_coco.py',
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
