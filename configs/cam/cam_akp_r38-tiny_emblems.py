"""CAM baseline with adaptive-K pooling on a tiny ResNet38d, Emblems."""

_base_ = './cam_r38-tiny_emblems.py'

# k and margin are those for probabilities in APC; the maps here are logits
model = dict(cam_head=dict(pooling=dict(type='AdaptiveKPooling', k=6, margin=0.05)))
