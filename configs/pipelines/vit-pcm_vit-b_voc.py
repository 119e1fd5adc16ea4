"""ViT-PCM on PASCAL VOC 2012: from image-level labels to a tested DeepLabV2, in several stages."""

title = 'ViT-PCM, ViT-B, PASCAL VOC 2012'
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
# that of ViT-PCM's published code
crf = dict(
    type='DenseCRF',
    num_iters=10,
    gaussian=dict(sxy=1, weight=3),
    bilateral=dict(sxy=67, srgb=3, weight=4),
)
stages = dict(
    vit_pcm=dict(type='Train', title='ViT-PCM', config='configs/apc/vit-pcm_vit-b_voc.py'),
    baseline_masks=dict(
        type='Test',
        title='baseline pseudo masks, no CRF',
        model='vit_pcm',
        splits=both,
    ),
    masks=dict(
        type='Test',
        title='pseudo masks, dense CRF',
        model='vit_pcm',
        splits=both,
        options={'model.test_cfg.crf': crf},
    ),
    segmentation=dict(
        type='Train',
        title='DeepLabV2 on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv2_r101_voc.py',
        masks='masks',
    ),
    test=dict(
        type='Test',
        title='DeepLabV2, six scales',
        model='segmentation',
        splits=['val'],
        tta=True,
    ),
)
