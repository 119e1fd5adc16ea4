"""ToCo on MS COCO 2014: one training, tested as the paper does."""

title = 'ToCo, ViT-B, MS COCO 2014'
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
    gaussian=dict(sxy=1, weight=1),
    bilateral=dict(sxy=121, srgb=5, weight=4),
)
stages = [
    dict(type='Train', name='toco', config='configs/toco/toco_vit-b_coco.py'),
    dict(
        type='Test',
        name='cams',
        title='class activation maps of toco',
        model='toco',
        splits=['val'],
        options={'model.test_cfg.output': 'cam'},
    ),
    dict(
        type='Test',
        name='aux_cams',
        title='maps of the auxiliary head of toco',
        model='toco',
        splits=['val'],
        options={'model.test_cfg.output': 'cam', 'model.test_cfg.cam_from': 'aux_cam'},
    ),
    # squashed, one scale: what the paper's code calls val
    dict(type='Test', name='test', model='toco', splits=['val']),
    dict(
        type='Test',
        name='test_scales',
        title='test of toco, scales',
        model='toco',
        splits=['val'],
        tta=True,
    ),
    dict(
        type='Test',
        name='test_crf',
        title='test of toco, scales, dense CRF',
        model='toco',
        splits=['val'],
        tta=True,
        options={'model.test_cfg.crf': crf},
    ),
]
