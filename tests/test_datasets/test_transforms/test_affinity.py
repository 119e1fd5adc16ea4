"""Transforms that load affinity labels and bring them to the grid of features."""

import numpy as np
import pytest

from mmwsss.datasets import (
    AffinityFileError,
    AffinityScores,
    CropWithValidBox,
    FuseAffinityScores,
    LoadAffinityLabel,
    LoadAffinityScores,
    MaskError,
    ResizeLongSide,
)
from mmwsss.datasets.affinity_files import write_affinity_scores
from mmwsss.datasets.class_palettes import write_mask_file

SIZE = (16, 24)


def info(size=SIZE, name='dog.jpg'):
    return dict(
        img=np.full((*size, 3), 9, np.uint8),
        img_path=f'images/{name}',
        num_classes=21,
        seg_fields=[],
    )


@pytest.fixture
def folder(tmp_path):
    """Labels of two images; of ``dog``, the left half is sure background, the right class 12."""
    low = np.zeros((2, *SIZE), np.uint8)
    low[0, :, :12], low[1, :, 12:] = 255, 255
    scores = AffinityScores(np.array([11]), low, low)
    write_affinity_scores(tmp_path / 'dog.npz', scores)
    label = np.zeros(SIZE, np.uint8)
    label[:, 12:] = 12
    write_mask_file(tmp_path / 'dog.png', label)
    return str(tmp_path)


def test_label_is_loaded_and_follows_the_image(folder):
    results = LoadAffinityLabel(folder)(info())
    assert results['seg_fields'] == ['gt_seg_map']
    assert results['gt_seg_map'].sum() == 12 * 12 * 16
    results = ResizeLongSide(48, 48)(results)
    label = CropWithValidBox((64, 64))(results)['gt_seg_map']
    assert label.shape == (64, 64)
    assert np.unique(label, return_counts=True)[1].tolist() == [24 * 32, 24 * 32, 64 * 64 - 48 * 32]


def test_scores_become_classes_on_the_grid(folder):
    results = LoadAffinityScores(folder)(info())
    assert results['gt_affinity_scores'].shape == (*SIZE, 4)
    results = FuseAffinityScores(stride=4)(results)
    expected = np.repeat([[0, 0, 0, 12, 12, 12]], 4, axis=0)
    np.testing.assert_array_equal(results['gt_seg_map'], expected)
    assert results['gt_seg_map'].dtype == np.uint8
    assert results['seg_fields'] == ['gt_seg_map']
    assert not {'gt_affinity_scores', 'affinity_keys'} & set(results)


def test_padding_is_ignored_cell_by_cell(folder, monkeypatch):
    """A cell that holds a single pixel of the image has its label."""
    monkeypatch.setattr(np.random, 'randint', lambda n: n - 1)  # as far right and down as it goes
    results = CropWithValidBox((32, 37 + 3))(LoadAffinityScores(folder)(info()))
    assert results['valid_box'] == (16, 16, 32, 40)
    label = FuseAffinityScores(stride=8)(results)['gt_seg_map']
    # 12 of 24 columns are background: a cell of 8, then one that is shared half and half
    np.testing.assert_array_equal(label[:2], np.full((2, 5), 255))
    np.testing.assert_array_equal(label[2:, [0, 1, 2, 4]], [[255, 255, 0, 12]] * 2)


@pytest.mark.parametrize('load', [LoadAffinityLabel, LoadAffinityScores])
def test_missing_label(folder, load):
    with pytest.raises(
        FileNotFoundError, match=r'cat\.(png|npz) of image images/cat\.jpg .*--style'
    ):
        load(folder)(info(name='cat.jpg'))


@pytest.mark.parametrize('load', [LoadAffinityLabel, LoadAffinityScores])
def test_label_of_another_size(folder, load):
    with pytest.raises(AffinityFileError, match=r'is 24 x 16 but its image .* is 20 x 16'):
        load(folder)(info(size=(16, 20)))


@pytest.mark.parametrize(
    ('load', 'error'), [(LoadAffinityLabel, MaskError), (LoadAffinityScores, AffinityFileError)]
)
def test_label_of_another_data_set(folder, load, error):
    with pytest.raises(error, match='12|11'):
        load(folder)({**info(), 'num_classes': 7})


@pytest.mark.parametrize(
    'change',
    [lambda results: ResizeLongSide(32, 32)(results), lambda results: {**results, 'flip': True}],
)
def test_scores_are_fused_before_the_image_changes_otherwise(folder, change):
    results = change(LoadAffinityScores(folder)(info()))
    with pytest.raises(ValueError, match=r'images/dog\.jpg was resized or flipped'):
        FuseAffinityScores()(results)


def test_stride_below_one_is_refused():
    with pytest.raises(ValueError, match='stride must be at least 1, got 0'):
        FuseAffinityScores(stride=0)


def test_printed_form():
    transforms = [LoadAffinityLabel('a'), LoadAffinityScores('b'), FuseAffinityScores(4)]
    assert [repr(t) for t in transforms] == [
        "LoadAffinityLabel(label_dir='a')",
        "LoadAffinityScores(label_dir='b')",
        'FuseAffinityScores(stride=4)',
    ]
