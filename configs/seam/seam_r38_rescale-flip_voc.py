"""SEAM whose second branch sees the image mirrored and rescaled, PASCAL VOC 2012."""

_base_ = './seam_r38_voc.py'

model = dict(
    transformation=dict(
        _delete_=True,
        type='EquivariantCompose',
        transformations=[
            dict(type='EquivariantFlip'),
            dict(type='EquivariantRescale', scale=0.3),
        ],
    )
)
