"""APC on MS COCO 2014: one training, tested as the paper does."""

title = 'APC, ViT-B, MS COCO 2014'
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
crf = dict(
    type='DenseCRF',
    num_iters=10,
    gaussian=dict(sxy=3, weight=3),
    bilateral=dict(sxy=64, srgb=5, weight=4),
)
stages = [
    dict(type='Train', name='apc', config='configs/apc/apc_vit-b_coco.py'),
    dict(
        type='Test',
        name='cams',
        title='class activation maps of apc',
        model='apc',
        splits=['train', 'val'],
        options={'model.test_cfg.output': 'cam'},
    ),
    dict(type='Test', name='test', model='apc', splits=['val']),
    dict(
        type='Test',
        name='test_crf',
        title='test of apc, dense CRF',
        model='apc',
        splits=['val'],
        options={'model.test_cfg.crf': crf},
    ),
]
