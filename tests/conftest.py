"""What every test starts from: one thread, fixed seeds, MMSegmentation's scope, no leftovers."""

import os
import random
import sys
from pathlib import Path

# before NumPy and torch start their pools; the children of a test inherit it
os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from tests.leftovers import forget_runs


def _make_torchvision_importable():
    """Declare the operators of a torchvision for GPUs that lies beside a torch for CPUs."""
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith('torchvision')]:
            del sys.modules[name]
        boxes = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
        for operator in ('nms', 'qnms'):
            torch.library.define(f'torchvision::{operator}', boxes)


# MMPretrain and timm need it, and mmseg imports both where they are installed
_make_torchvision_importable()
import mmwsss  # noqa: E402

torch.set_num_threads(1)

OPTIONAL = dict(
    mmpretrain='mmpretrain.models', pydensecrf='pydensecrf.densecrf', timm='timm.models'
)


@pytest.fixture(scope='session')
def repo() -> Path:
    """Return the folder of the checkout."""
    return Path(mmwsss.__file__).parents[1]


@pytest.fixture(autouse=True)
def _fresh_state():
    """Set seeds and scope; afterwards drop what a Runner leaves in MMEngine's globals."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    init_default_scope('mmseg')
    yield
    forget_runs()


def pytest_runtest_setup(item):
    """Skip what needs an optional package where it is missing."""
    for marker, module in OPTIONAL.items():
        if item.get_closest_marker(marker):
            pytest.importorskip(module, reason=f'needs requirements/{marker}.txt')
