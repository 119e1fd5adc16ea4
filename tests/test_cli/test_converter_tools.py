"""What the converters share: arguments, classes of a checkpoint, the sentence of a refusal."""

import argparse
import errno
from pathlib import Path

import pytest

from mmwsss.cli.converter_tools import (
    class_meta,
    convert_checkpoint,
    converter_parser,
    dataset_name,
)
from mmwsss.datasets import ImageLevelCOCODataset, ImageLevelVOCDataset
from mmwsss.errors import UsageError
from mmwsss.models.converters import ConversionError
from mmwsss.utils.mxnet_params import MXNetFileError

ARGS = argparse.Namespace(src='a.pth', dst='b.pth')


def test_parser_takes_two_files_and_says_that_nothing_is_run():
    parser = converter_parser('Convert a net.', src_help='a net')
    args = parser.parse_args(['a.pth', 'b.pth'])
    assert vars(args) == vars(ARGS)
    text = ' '.join(parser.format_help().split())
    assert 'Convert a net. Nothing in the file is run.' in text
    assert 'src a net dst file to write, .pth' in text


@pytest.mark.parametrize(
    ('num_classes', 'name', 'dataset'),
    [(21, 'voc', ImageLevelVOCDataset), (81, 'coco', ImageLevelCOCODataset)],
)
def test_known_data_sets_have_the_classes_and_colours_of_their_images(num_classes, name, dataset):
    found = class_meta(num_classes)['dataset_meta']
    assert list(found['classes']) == list(dataset.METAINFO['classes'])
    assert found['palette'] == dataset.METAINFO['palette']
    assert dataset_name(num_classes) == name


def test_classes_of_other_data_sets_stay_unknown():
    assert class_meta(22) == {}
    assert dataset_name(22) == 'voc'


def test_conversion_gets_paths_and_its_result_is_handed_on():
    assert convert_checkpoint(ARGS, lambda *files: files) == (Path('a.pth'), Path('b.pth'))


@pytest.mark.parametrize(
    'error',
    [
        ConversionError('a.pth: no net'),
        MXNetFileError('a.pth: no net'),
        PermissionError(errno.EACCES, 'a.pth: no net'),
    ],
)
def test_a_file_that_does_not_do_is_the_users_to_mend(error):
    def convert(src, dst):
        raise error

    with pytest.raises(UsageError, match=r'a\.pth: no net'):
        convert_checkpoint(ARGS, convert)


def test_a_fault_of_the_conversion_is_not_the_users():
    def convert(src, dst):
        raise ValueError('shapes differ')

    with pytest.raises(ValueError, match='shapes differ') as caught:
        convert_checkpoint(ARGS, convert)
    assert not isinstance(caught.value, UsageError)
