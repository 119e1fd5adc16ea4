"""ToCo's three views: the image, another part of it, and what local crops are cut of."""

view_size = (448, 448)
colors = [
    dict(
        type='RandomApply',
        transforms=[
            dict(type='JitterColor', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)
        ],
        prob=0.8,
    ),
    dict(
        type='RandomGrayscale',
        prob=0.2,
        keep_channels=True,
        # of BGR
        channel_weights=(0.114, 0.587, 0.299),
    ),
]
view_pipeline = [
    dict(type='LoadImageChecked'),
    # of the image as it is
    dict(
        type='AddView',
        name='second_view',
        transforms=[
            dict(type='ZoomIntoPart', size=448, scale=(0.4, 1.0), interpolation='bicubic'),
            dict(type='RandomFlip', prob=0.5),
            *colors,
            dict(type='RandomApply', transforms=[dict(type='BlurImage')], prob=0.1),
            dict(type='RandomApply', transforms=[dict(type='SolarizeImage')], prob=0.2),
        ],
    ),
    dict(type='RandomScaleImage', min_factor=0.5, max_factor=2.0),
    # The published code mirrors image and local view once more, each on its own, and leaves boxes
    # and maps as they were: half of the time these belong to the mirror image.
    dict(type='RandomFlip', prob=0.5),
    dict(type='CropWithValidBox', crop_size=view_size),
    dict(
        type='AddView',
        name='local_view',
        transforms=[
            *colors,
            dict(type='RandomApply', transforms=[dict(type='BlurImage')], prob=0.5),
        ],
    ),
    *colors,
    dict(type='BlurImage'),
    dict(type='PackWeakInputs'),
]
