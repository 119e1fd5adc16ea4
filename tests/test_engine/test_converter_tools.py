"""What the converters share: arguments, classes of a checkpoint, the sentence of a refusal."""

import argparse
import errno

import pytest
import torch

from mmwsss.datasets import ImageLevelCOCODataset, ImageLevelVOCDataset
from mmwsss.engine.converter_tools import (
    class_meta,
    convert_checkpoint,
    converter_parser,
    dataset_name,
)
from mmwsss.engine.launch import UsageError
from mmwsss.models.converters.foreign_weights import ConversionError, Converted

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


def test_weights_are_written_with_their_classes(tmp_path):
    args = argparse.Namespace(src=tmp_path / 'a.pth', dst=tmp_path / 'b.pth')
    found = Converted({'a': torch.ones(2)}, 21, dict(depth=3))
    assert convert_checkpoint(args, lambda path: found) == found
    written = torch.load(args.dst, weights_only=True)
    assert torch.equal(written['state_dict']['a'], torch.ones(2))
    assert written['meta']['dataset_meta']['classes'][1] == 'aeroplane'
    assert convert_checkpoint(args, lambda path: {'a': torch.ones(1)}).num_classes is None
    assert 'dataset_meta' not in torch.load(args.dst, weights_only=True)['meta']


@pytest.mark.parametrize(
    'error',
    [ConversionError('a.pth: no net'), PermissionError(errno.EACCES, 'a.pth: no net')],
)
def test_a_file_that_does_not_do_is_the_users_to_mend(error):
    def read(path):
        raise error

    with pytest.raises(UsageError, match=r'a\.pth: no net'):
        convert_checkpoint(ARGS, read)


def test_a_fault_of_the_conversion_is_not_the_users():
    def read(path):
        raise ValueError('shapes differ')

    with pytest.raises(ValueError, match='shapes differ') as caught:
        convert_checkpoint(ARGS, read)
    assert not isinstance(caught.value, UsageError)
