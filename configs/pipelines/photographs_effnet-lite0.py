"""From a folder of tagged photographs to DeepLabV3+, on EfficientNet-Lite0: minutes on a CPU."""

title = 'CAM and DeepLabV3+, EfficientNet-Lite0'
data_root = 'data/photographs'
classes = ['background', 'cat', 'dog']
seed = 0
splits = dict(train=dict(split=f'{data_root}/photographs.txt', images=f'{data_root}/images'))
stages = dict(
    cam=dict(
        type='Train',
        title='classifier',
        config='configs/cam/cam_effnet-lite0_photographs.py',
    ),
    maps=dict(
        type='MakeCAMs',
        title='CAMs of the classifier',
        model='cam',
        splits=['train'],
        # trained at stride 32, a third of the time
        options=dict(model=dict(backbone=dict(output_stride=16))),
    ),
    refined_maps=dict(
        type='RefineMaps',
        title='CAMs refined by PAR',
        cams='maps',
        splits=['train'],
    ),
    masks=dict(
        type='MakePseudoMasks',
        title='pseudo masks',
        cams='refined_maps',
        splits=['train'],
        bg_score='multi-otsu',
        # its settings are for 500 pixels; wider than in proportion was better
        crf='labels',
        crf_config=dict(bilateral=dict(sxy=48)),
    ),
    segmentation=dict(
        type='Train',
        title='DeepLabV3+ on the pseudo masks',
        config='configs/deeplab_pseudo/deeplabv3plus_effnet-lite0_photographs.py',
        # it knows the classes before it learns where they are
        pretrained='cam',
        masks='masks',
    ),
    test=dict(
        type='Test',
        title='DeepLabV3+, without tags',
        model='segmentation',
        splits=['train'],
    ),
)
