"""PASCAL VOC 2012 in the forms in which users have it."""

import shutil

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.runner import Runner
from mmseg.datasets import PascalVOCDataset

from mmwsss.datasets import ImageLevelVOCDataset
from tests.weak_data import TRAIN_TAGS, VOC_CLASSES, save_text

TAGS = [[VOC_CLASSES.index(tag) - 1 for tag in tags] for tags in TRAIN_TAGS]
MASKS = {'seg_map_path': 'SegmentationClass'}


def test_classes_are_those_of_mmseg():
    assert ImageLevelVOCDataset.METAINFO == PascalVOCDataset.METAINFO


def test_train_aug_with_tags_from_xml(voc_dir):
    dataset = ImageLevelVOCDataset(data_root=str(voc_dir))
    assert [item['gt_label'] for item in dataset] == TAGS
    assert dataset[0]['img_path'] == str(voc_dir / 'JPEGImages' / '2007_000000.jpg')
    assert dataset[0]['num_classes'] == 21 and 'seg_map_path' not in dataset[0]


def test_tags_from_community_file(voc_dir):
    labels = {2007000000 + i: np.eye(20, dtype='f4')[tags].sum(0) for i, tags in enumerate(TAGS)}
    np.save(voc_dir / 'cls_labels.npy', labels)
    dataset = ImageLevelVOCDataset(data_root=str(voc_dir), image_labels='cls_labels.npy')
    assert [item['gt_label'] for item in dataset] == TAGS


@pytest.mark.parametrize('parent', ['VOCdevkit', '.'])
def test_data_root_may_be_a_parent(voc_dir, tmp_path, parent):
    assert len(ImageLevelVOCDataset(data_root=str(tmp_path / parent))) == 4


@pytest.mark.parametrize(
    'place',
    [
        'ImageSets/Segmentation/trainaug.txt',
        'ImageSets/Segmentation/train+aug.txt',
        'ImageSets/SegmentationAug/train_aug.txt',
        'train_aug.txt',
    ],
)
@pytest.mark.parametrize('ann_file', ['train_aug', 'ImageSets/Segmentation/train_aug.txt'])
def test_usual_split_files_are_found(voc_dir, place, ann_file):
    usual = voc_dir / 'ImageSets' / 'Segmentation' / 'train_aug.txt'
    usual.unlink()
    save_text(voc_dir / place, '2007_000001\n')
    assert len(ImageLevelVOCDataset(ann_file, data_root=str(voc_dir))) == 1


def test_train_and_aug_make_train_aug(voc_dir):
    folder = voc_dir / 'ImageSets' / 'Segmentation'
    (folder / 'train_aug.txt').unlink()
    save_text(folder / 'train.txt', '2007_000001\n')
    save_text(folder / 'aug.txt', '2007_000000\n2007_000003\n')
    dataset = ImageLevelVOCDataset(data_root=str(voc_dir))
    assert [item['gt_label'] for item in dataset] == [TAGS[1], TAGS[0], TAGS[3]]


def test_missing_split_names_all_places(voc_dir):
    (voc_dir / 'ImageSets' / 'Segmentation' / 'train_aug.txt').unlink()
    files = r'train_aug\.txt, trainaug\.txt, train\+aug\.txt, aug\.txt beside train\.txt'
    folders = 'ImageSets/Segmentation, ImageSets/SegmentationAug, .*, ImageSets or the folder'
    with pytest.raises(FileNotFoundError, match=rf"'train_aug' .*{files}; in {folders}.*'train'"):
        ImageLevelVOCDataset(data_root=str(voc_dir))
    with pytest.raises(FileNotFoundError, match=r"'mine' .* \(mine\.txt; in .*set ann_file to"):
        ImageLevelVOCDataset('mine', data_root=str(voc_dir))


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='there is no folder .*gone: put PASCAL VOC'):
        ImageLevelVOCDataset(data_root=str(tmp_path / 'gone'))


@pytest.mark.parametrize('slash', ['/', ''])
def test_lines_with_paths(voc_dir, slash):
    line = f'{slash}JPEGImages/2007_000001.jpg {slash}SegmentationClassAug/2007_000001.png\n'
    save_text(voc_dir / 'ImageSets' / 'Segmentation' / 'train_aug.txt', line)
    dataset = ImageLevelVOCDataset(data_root=str(voc_dir), data_prefix=MASKS)
    assert dataset[0]['img_path'] == str(voc_dir / 'JPEGImages' / '2007_000001.jpg')
    assert dataset[0]['seg_map_path'] == str(voc_dir / 'SegmentationClassAug' / '2007_000001.png')


def test_a_folder_of_ones_own_masks_is_not_replaced_by_the_line(voc_dir):
    line = '/JPEGImages/2007_000001.jpg /SegmentationClassAug/2007_000001.png\n'
    save_text(voc_dir / 'ImageSets' / 'Segmentation' / 'train_aug.txt', line)
    (voc_dir / 'SegmentationClassAug').mkdir()
    dataset = ImageLevelVOCDataset(
        data_root=str(voc_dir), data_prefix={'seg_map_path': 'pseudo_masks'}
    )
    assert dataset[0]['seg_map_path'] == str(voc_dir / 'pseudo_masks' / '2007_000001.png')


def test_masks_of_train_aug_come_from_the_aug_folder_as_far_as_they_are_there(voc_dir):
    (voc_dir / 'SegmentationClassAug').mkdir()
    (voc_dir / 'SegmentationClassAug' / '2007_000001.png').touch()
    dataset = ImageLevelVOCDataset(data_root=str(voc_dir), data_prefix=MASKS)
    folders = [item['seg_map_path'].split('/')[-2] for item in dataset]
    assert folders == ['SegmentationClass', 'SegmentationClassAug'] + ['SegmentationClass'] * 2


def test_masks_of_val_are_the_official_ones(voc_dir):
    (voc_dir / 'SegmentationClassAug').mkdir()
    (voc_dir / 'SegmentationClassAug' / '2008_000000.png').touch()
    dataset = ImageLevelVOCDataset('val', data_root=str(voc_dir), data_prefix=MASKS)
    assert dataset[0]['seg_map_path'] == str(voc_dir / 'SegmentationClass' / '2008_000000.png')


def test_lines_of_another_kind_of_split_are_refused(voc_dir):
    save_text(voc_dir / 'ImageSets' / 'Main' / 'dog_train.txt', '2007_000001 -1\n')
    with pytest.raises(ValueError, match=r"dog_train\.txt, line 1 is '2007_000001 -1' where"):
        ImageLevelVOCDataset('ImageSets/Main/dog_train.txt', data_root=str(voc_dir))


def config(repo, name, root):
    cfg = Config.fromfile(repo / 'configs' / '_base_' / 'datasets' / f'{name}.py')
    cfg.data_root = str(root)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(root)
    cfg.train_dataloader.update(batch_size=2)
    return cfg


@pytest.mark.parametrize('name, fixture', [('voc12_weak', 'voc_dir'), ('coco14_weak', 'coco_dir')])
def test_training_never_opens_a_mask(request, repo, name, fixture):
    root = request.getfixturevalue(fixture)
    cfg = config(repo, name, root)
    cfg.train_dataloader.dataset.data_prefix['seg_map_path'] = 'SegmentationClass'
    shutil.rmtree(root / 'SegmentationClass')
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    batches = list(loader)
    assert len(batches) == 2
    for batch in batches:
        assert [tuple(image.shape) for image in batch['inputs']] == [(3, 448, 448)] * 2
        assert all(sample.gt_score.sum() > 0 for sample in batch['data_samples'])
        assert not any('gt_sem_seg' in sample for sample in batch['data_samples'])


@pytest.mark.parametrize('name, fixture', [('voc12_weak', 'voc_dir'), ('coco14_weak', 'coco_dir')])
def test_evaluation_opens_the_masks(request, repo, name, fixture):
    cfg = config(repo, name, request.getfixturevalue(fixture))
    loader = Runner.build_dataloader(cfg.test_dataloader, seed=0)
    samples = [batch['data_samples'][0] for batch in loader]
    assert len(samples) == 2
    for sample in samples:
        shown = set(sample.gt_sem_seg.data.unique().tolist()) - {0, 255}
        assert shown == set((sample.gt_label + 1).tolist())


def test_test_time_views(repo, voc_dir):
    cfg = config(repo, 'voc12_weak', voc_dir)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    (batch,) = [next(iter(Runner.build_dataloader(cfg.test_dataloader, seed=0)))]
    sizes = [tuple(view[0].shape[1:]) for view in batch['inputs']]
    scaled = [(16, 24), (32, 48), (48, 72), (64, 96)]
    assert sizes == [size for size in scaled for _ in range(2)]
    views = [view[0] for view in batch['data_samples']]
    assert [view.flip for view in views] == [False, True] * 4
    # the mask is that of the image, whatever the view
    assert all((view.gt_sem_seg.data == views[0].gt_sem_seg.data).all() for view in views)
    assert all(view.ori_shape == (32, 48) for view in views)


def test_one_image_alone_goes_through_the_test_pipeline(repo, voc_dir):
    cfg = config(repo, 'voc12_weak', voc_dir)
    path = str(voc_dir / 'JPEGImages' / '2007_000000.jpg')
    packed = Compose(cfg.test_pipeline)({'img_path': path})
    assert packed['inputs'].shape == (3, 32, 48)
    assert 'gt_score' not in packed['data_samples']
