"""CAM baseline on a backbone of timm (to be installed beside), PASCAL VOC 2012."""

_base_ = './cam_r38_voc.py'

custom_imports = dict(imports=['mmwsss', 'timm'], allow_failed_imports=False)

model = dict(
    backbone=dict(
        _delete_=True,
        type='TIMMBackbone',
        model_name='resnet50.tv_in1k',
        # timm's own download, from the Hugging Face Hub
        pretrained=True,
        features_only=True,
        out_indices=(4,),
        output_stride=16,
        norm_layer='EvalBatchNorm',
    ),
    cam_head=dict(in_channels=2048),
)
