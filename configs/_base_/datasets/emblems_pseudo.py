"""Emblems: trained on pseudo masks, evaluated with the masks of the validation split."""

dataset_type = 'EmblemsDataset'
data_root = 'data/emblems'
pseudo_mask_dir = 'work_dirs/seam_r38-tiny_emblems/pseudo_masks'

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadMaskChecked'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
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
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadMaskChecked')],
            [dict(type='PackSegInputs')],
        ],
    ),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='NumberedInfiniteSampler', shuffle=True),
    dataset=dict(
        type='PseudoMaskDataset',
        # lists the images; true masks and tags are not used
        dataset=dict(type=dataset_type, data_root=data_root, ann_file='train'),
        data_prefix=dict(seg_map_path=pseudo_mask_dir),
        pipeline=train_pipeline,
    ),
)
# training validates nothing: masks would choose the checkpoint of a weakly supervised model
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='val',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        test_mode=True,
        pipeline=eval_pipeline,
    ),
)
test_evaluator = dict(type='MaskMetric', iou_metrics=['mIoU'])
