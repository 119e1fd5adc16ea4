"""Class-aware auto-encoder on a small DeiT, Emblems, trained from scratch."""

_base_ = [
    '../_base_/models/caae_deit-tiny.py',
    '../_base_/datasets/emblems_weak.py',
    '../_base_/schedules/adamw_1k_emblems.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=1000))
# an auto-encoder segments nothing; its pred_score is for metrics of multi-label classification
test_evaluator = []
