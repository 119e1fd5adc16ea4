"""SEAM whose second branch sees the image rotated and rescaled, PASCAL VOC 2012."""

_base_ = './seam_r38_voc.py'

model = dict(
    transformation=dict(
        _delete_=True,
        type='EquivariantCompose',
        transformations=[
            dict(type='EquivariantRotate', max_angle=20),
            dict(type='EquivariantRescale', scale=0.3),
        ],
    )
)
