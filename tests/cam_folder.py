"""A folder of images with maps, for the tools that work through such folders, and harm to it."""

import shutil

import cv2
import numpy as np

from mmwsss.evaluation import write_cam_file

CLASSES = {'a': [0], 'b': [1, 0], 'c': [], 'd': [1]}


def draw_cam_folder(root):
    """Draw four images, one of them in a subfolder, and their maps: bright squares on dark."""
    rng = np.random.default_rng(0)
    (root / 'images/more').mkdir(parents=True)
    for i, (name, keys) in enumerate(CLASSES.items()):
        image = rng.integers(0, 8, (24 + i, 31, 3), dtype=np.uint8)
        cams = np.zeros((len(keys), *image.shape[:2]), np.float32)
        for k in range(len(keys)):
            image[4:18, 2 + 14 * k : 14 + 14 * k] += 60 + 100 * np.uint8(k)
            cams[k, 7:15, 5 + 14 * k : 11 + 14 * k] = 0.9
            cams[k] = cv2.blur(cams[k], (5, 5))
        cv2.imwrite(str(root / f'images/{"more/" if name == "b" else ""}{name}.png'), image)
        write_cam_file(root / f'cams/{name}.npz', keys, cams)
    return root


def copy_cam_folder(folder, root):
    """Copy images and maps, to do harm to them."""
    for name in ('images', 'cams'):
        shutil.copytree(folder / name, root / name)
    return root


def contents(out_dir):
    """Return what every file of a folder holds."""
    return {path.name: path.read_bytes() for path in out_dir.iterdir()}


def _cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


# what is done to a copy, and what every tool has to say of it
HARMS = [
    (lambda f: _cut(f / 'cams/b.npz'), r'cams/b\.npz is damaged or no CAM file'),
    (lambda f: _cut(f / 'images/d.png'), r'images/d\.png is truncated or no image'),
    (
        lambda f: (f / 'images/d.png').unlink(),
        r'images lacks the images of 1 of 4 files of maps \(d\)',
    ),
    (
        lambda f: shutil.copy(f / 'images/a.png', f / 'images/d.png'),
        r'cams/d\.npz: the maps are 31 x 27 where the image .*d\.png is 31 x 24',
    ),
]
