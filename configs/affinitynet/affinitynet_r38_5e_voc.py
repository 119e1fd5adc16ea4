"""AffinityNet on ResNet38d, PASCAL VOC 2012, as MCTformer V2 trains it and walks."""

_base_ = ['./affinitynet_r38_voc.py']

# 5 epochs of the 10,582 images in batches of 8
max_iters = 6610
model = dict(
    # the classifier of configs/cam/cam_r38_voc.py, in the place of the one that was published
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/cam_r38_voc/iter_10576.pth', prefix='backbone.'
        )
    )
)
affinity_label_dir = 'work_dirs/mctformer-v2_deit-s_voc/affinity_labels'  # --style psa
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='LoadAffinityScores', label_dir=affinity_label_dir),
    dict(type='JitterColor', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    dict(type='CropWithValidBox', crop_size=(448, 448)),
    dict(type='FuseAffinityScores', stride=8),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=max_iters + 1, by_epoch=False)
]
train_cfg = dict(max_iters=max_iters)
# the background score of the best maps on train walks along
walk = dict(bg_alpha=None, bg_score=0.39, pairs='inner')
