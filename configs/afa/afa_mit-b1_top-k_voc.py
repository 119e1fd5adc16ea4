"""AFA on MiT-B1, scores of the mean of each channel's k highest positions, PASCAL VOC 2012."""

_base_ = './afa_mit-b1_voc.py'

model = dict(
    cam_head=dict(
        # half of the 32 x 32 positions; 256 and 102 are the paper's 25 and 10 %
        pooling=dict(_delete_=True, type='AdaptiveKPooling', k=512, margin=0.0)
    )
)
