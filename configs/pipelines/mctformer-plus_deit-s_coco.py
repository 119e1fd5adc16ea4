"""MCTformer+ on MS COCO 2014; what follows the maps is unpublished and that of SEAM here."""

_base_ = './mctformer-v2_deit-s_voc.py'

title = 'MCTformer+, DeiT-S, MS COCO 2014'
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
    mctformer=dict(config='configs/mctformer/mctformer-plus_deit-s_coco.py'),
    # there is no plain classifier on COCO
    classifier=dict(config='configs/seam/seam_r38_coco.py', title='SEAM on ResNet38d'),
    affinity=dict(config='configs/affinitynet/affinitynet_r38_coco.py'),
    segmentation=dict(config='configs/deeplab_pseudo/deeplabv1_r38_coco.py'),
    test=dict(title='DeepLabV1, six scales, dense CRF'),
)
