"""APC on ViT-B/16, PASCAL VOC 2012: crops at a random place, the aspect ratio kept."""

_base_ = './apc_vit-b_voc.py'

train_pipeline = [
    dict(type='LoadImageChecked'),
    # the paper resizes to 384 x 384; the long side here is that of the other methods
    dict(type='ResizeLongSide', min_size=448, max_size=768),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=1.0),
    dict(type='JitterColor', contrast=(0.5, 2.0), saturation=0.5, hue=0.1, gray_prob=0.1),
    dict(type='CropWithValidBox', crop_size={{_base_.crop_size}}),
    dict(type='PackWeakInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
