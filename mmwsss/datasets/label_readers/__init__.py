"""Readers of image-level labels, one module a kind of source."""

from .coco_json import fields_of, instance_file_names, is_instances, labels_from_instances
from .common import LabelFileError, files_of_images
from .csv_file import read_csv_labels
from .json_file import load_json, read_json_labels
from .mask_folder import read_mask_labels
from .npy_file import read_npy_labels
from .safe_npy import load_npy_dict
from .voc_xml import read_voc_xml

__all__ = [
    'LabelFileError',
    'fields_of',
    'files_of_images',
    'instance_file_names',
    'is_instances',
    'labels_from_instances',
    'load_json',
    'load_npy_dict',
    'read_csv_labels',
    'read_json_labels',
    'read_mask_labels',
    'read_npy_labels',
    'read_voc_xml',
]
