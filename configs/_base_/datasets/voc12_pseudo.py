"""PASCAL VOC 2012: trained on pseudo masks of train_aug, evaluated with the masks of val."""

data_root = 'data/VOCdevkit/VOC2012'
pseudo_mask_dir = 'work_dirs/seam_r38_voc/pseudo_masks'
scales = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    # the published 0.5 to 1.5 times the size of the image: nearly all are 500 pixels long
    dict(type='RandomResize', scale=(500, 500), ratio_range=(0.5, 1.5), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='JitterHSV', delta=10),
    dict(type='CropWithValidBox', crop_size=(448, 448)),
    # with the box, outside of which the preprocessor pads with the mean colour
    dict(type='PackWeakInputs'),
]
# one image alone, as init_model and inference_model take it
test_pipeline = [dict(type='LoadImageChecked'), dict(type='PackSegInputs')]
eval_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [
    dict(type='LoadImageChecked'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale_factor=scale, keep_ratio=True) for scale in scales],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            # after scaling, so that the mask stays as large as the image
            [dict(type='LoadMaskChecked')],
            [dict(type='PackSegInputs')],
        ],
    ),
]

train_dataloader = dict(
    batch_size=10,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='NumberedInfiniteSampler', shuffle=True),
    dataset=dict(
        type='PseudoMaskDataset',
        # lists the images, as in the earlier stages; true masks and tags are not used
        dataset=dict(type='ImageLevelVOCDataset', data_root=data_root, ann_file='train_aug'),
        data_prefix=dict(seg_map_path=pseudo_mask_dir),
        pipeline=train_pipeline,
    ),
)
# training validates nothing: masks would choose the checkpoint of a weakly supervised model
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOCDataset',
        data_root=data_root,
        ann_file='ImageSets/Segmentation/val.txt',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        test_mode=True,
        pipeline=eval_pipeline,
    ),
)
test_evaluator = dict(type='MaskMetric', iou_metrics=['mIoU'])
