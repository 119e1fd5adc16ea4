"""Readers of image-level labels, one module a kind of source."""

from .coco_json import coco_entries, fields_of, named_items, sound_annotations
from .common import (
    BACKGROUND_NAMES,
    UNUSABLE,
    LabelEntry,
    LabelFileError,
    LabelTable,
    Reader,
    Report,
    background_error,
    class_name,
    parse_json,
    read_text,
    refuse,
    text_lines,
)
from .csv_file import csv_entries
from .folders import mask_entries, voc_entries
from .json_file import json_entries, load_instances, load_json
from .npy_file import npy_entries
from .safe_npy import load_npy_dict

__all__ = [
    'BACKGROUND_NAMES',
    'LabelEntry',
    'LabelFileError',
    'LabelTable',
    'Reader',
    'Report',
    'UNUSABLE',
    'background_error',
    'class_name',
    'coco_entries',
    'csv_entries',
    'fields_of',
    'json_entries',
    'load_instances',
    'load_json',
    'load_npy_dict',
    'mask_entries',
    'named_items',
    'npy_entries',
    'parse_json',
    'read_text',
    'refuse',
    'sound_annotations',
    'text_lines',
    'voc_entries',
]
