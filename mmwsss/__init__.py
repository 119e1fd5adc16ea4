"""Weakly supervised semantic segmentation from image-level labels, on MMSegmentation.

Importing the package checks what is installed, makes checkpoint loading strict and registers
every part in MMSegmentation's registries; MMSegmentation's IoU is then counted in whole numbers.
"""

from .interruption import end_tools_quietly  # isort: skip

end_tools_quietly()

from .compat import check_stack, install_strict_loading  # noqa: E402
from .version import __version__  # noqa: E402

check_stack()
install_strict_loading()

# only after the check, which says what to install where one of these could not be imported
from . import datasets, engine, evaluation, models  # noqa: E402

datasets.transforms.install_mirrored_packing()
datasets.transforms.install_long_pictures()
evaluation.install_exact_counts()

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models']
