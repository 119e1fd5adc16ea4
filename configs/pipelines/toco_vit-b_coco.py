"""ToCo on MS COCO 2014: one training, tested as the paper does."""

_base_ = './toco_vit-b_voc.py'

title = 'ToCo, ViT-B, MS COCO 2014'
data_root = 'data/coco2014'
classes = 'coco'
masks = f'{data_root}/SegmentationClass'
splits = dict(
    _delete_=True,
    train=dict(
        split='instances_train2014',
        images=f'{data_root}/train2014',
        # made by tools/dataset_converters/coco2voc_masks.py, if at all
        masks=f'{masks}/train2014',
        options={'test_dataloader.dataset.data_prefix.img_path': 'train2014'},
    ),
    val=dict(split='instances_val2014', images=f'{data_root}/val2014', masks=f'{masks}/val2014'),
)
stages = dict(
    toco=dict(config='configs/toco/toco_vit-b_coco.py'),
    cams=dict(splits=['val']),
    aux_cams=dict(splits=['val']),
)
