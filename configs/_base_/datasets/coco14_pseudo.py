"""MS COCO 2014: trained on pseudo masks of train2014, evaluated with the masks of val2014."""

dataset_type = 'ImageLevelCOCODataset'
data_root = 'data/coco2014'
pseudo_mask_dir = 'work_dirs/seam_r38_coco/pseudo_masks'
# the field's 82,081 images for training and 40,137 for evaluation are those with objects
filter_cfg = dict(filter_empty_gt=True)
scales = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    # 0.5 to 1.5 times the size of the image, as on VOC: nearly all are 640 pixels long
    dict(type='RandomResize', scale=(640, 640), ratio_range=(0.5, 1.5), keep_ratio=True),
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
        # lists the images; true masks are not used
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            ann_file='annotations/instances_train2014.json',
            data_prefix=dict(img_path='train2014'),
            filter_cfg=filter_cfg,
        ),
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
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2014.json',
        data_prefix=dict(img_path='val2014', seg_map_path='SegmentationClass/val2014'),
        filter_cfg=filter_cfg,
        test_mode=True,
        pipeline=eval_pipeline,
    ),
)
test_evaluator = dict(type='MaskMetric', iou_metrics=['mIoU'])
