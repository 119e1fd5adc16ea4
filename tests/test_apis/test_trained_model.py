"""Config and checkpoint of a folder of results, and the classes of a model."""

import json
import shutil

import pytest
from mmengine.config import Config

from mmwsss.apis.trained_model import find_classes, find_trained_model, read_model_config
from mmwsss.errors import UsageError
from tests.tiny_models import CLASSES, save_pipeline

STAGES = ('cam', 'affinity', 'segmentation')


@pytest.fixture
def work_dir(tmp_path):
    """Return a finished pipeline of three trainings."""
    folder = tmp_path / 'work'
    for name in STAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / f'{name}.py').write_text('model = dict()')
        for number in (2, 4):
            (folder / name / f'iter_{number}.pth').touch()
        (folder / name / 'last_checkpoint').write_text(f'elsewhere/{name}/iter_4.pth')
    save_pipeline(folder, STAGES)
    return folder


def plan(folder, *names):
    """Write the config of a pipeline with these trainings."""
    stages = {name: dict(type='Train', config='c.py') for name in names}
    path = folder / 'pipeline.py'
    path.write_text(f'stages = {stages}')
    results = json.loads((folder / 'results.json').read_text())
    (folder / 'results.json').write_text(json.dumps(dict(results, config=str(path))))


def test_final_model_of_a_pipeline(work_dir):
    folder = work_dir / 'segmentation'
    expected = (str(folder / 'segmentation.py'), str(folder / 'iter_4.pth'))
    assert find_trained_model(work_dir) == expected


def test_tested_model_counts(work_dir):
    """Not the last training, which may be one of affinities."""
    save_pipeline(work_dir, ['segmentation', 'cam'])
    (work_dir / 'test/manifest.json').write_text(
        json.dumps(dict(format=1, type='Test', inputs=dict(segmentation={})))
    )
    assert find_trained_model(work_dir)[1].endswith('segmentation/iter_4.pth')


def test_one_training(work_dir):
    assert find_trained_model(work_dir / 'cam')[0] == str(work_dir / 'cam/cam.py')


def test_pipeline_that_is_running(work_dir):
    (work_dir / 'results.json').unlink()
    (work_dir / 'segmentation/manifest.json').rename(work_dir / 'segmentation/started.json')
    message = r'has not finished its last stage \(it stopped, or is, at segmentation\): run the'
    with pytest.raises(UsageError, match=message):
        find_trained_model(work_dir)


def test_pipeline_that_ended_early(work_dir):
    """With ``--until`` there are results, but not of all stages."""
    save_pipeline(work_dir, STAGES[:2])
    (work_dir / 'segmentation/manifest.json').unlink()
    plan(work_dir, *STAGES)
    with pytest.raises(UsageError, match='has not finished its last training, segmentation: run'):
        find_trained_model(work_dir)


def test_folder_without_training(tmp_path):
    with pytest.raises(UsageError, match='holds no checkpoint of a training: give the work dir'):
        find_trained_model(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(UsageError, match='There is no folder .*nowhere; check the path'):
        find_trained_model(tmp_path / 'nowhere')


def test_training_without_config(work_dir):
    (work_dir / 'cam/cam.py').unlink()
    with pytest.raises(UsageError, match='cam holds no config of a training'):
        find_trained_model(work_dir / 'cam')


def test_damaged_results(work_dir):
    (work_dir / 'results.json').write_text('{')
    with pytest.raises(UsageError, match=r'results\.json is damaged'):
        find_trained_model(work_dir)


def test_folder_that_was_moved(work_dir, tmp_path):
    shutil.move(work_dir, tmp_path / 'moved')
    config, checkpoint = find_trained_model(tmp_path / 'moved')
    assert checkpoint == str(tmp_path / 'moved/segmentation/iter_4.pth')


@pytest.mark.stack
def test_config_by_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cfg = read_model_config('seam_r38_voc', {'model.test_cfg.bg_score': 0.5})
    assert (cfg.model.type, cfg.model.test_cfg.bg_score) == ('SEAM', 0.5)


def test_config_that_is_none():
    with pytest.raises(UsageError, match='There is no config seam_r39_voc; check the path'):
        read_model_config('seam_r39_voc')


def test_a_config_that_was_handed_over_is_not_changed():
    cfg = Config(dict(model=dict(a=1)))
    assert read_model_config(cfg, {'model.a': 2}).model.a == 2
    assert cfg.model.a == 1


def test_classes_of_the_checkpoint_come_first():
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='PascalVOCDataset'))))
    metas = [dict(classes=list(CLASSES), palette=[[1, 2, 3]] * 3)]
    assert find_classes(metas, cfg, 3) == (CLASSES, [[1, 2, 3]] * 3)
    assert find_classes([{}], cfg, 21).classes[15] == 'person'


def test_a_palette_that_is_too_short_is_that_of_voc():
    assert find_classes([dict(classes=CLASSES, palette=None)], Config(), 3).palette[1] == [
        128,
        0,
        0,
    ]


def test_classes_of_another_number():
    with pytest.raises(UsageError, match='Neither checkpoint nor config names the 5 classes'):
        find_classes([dict(classes=CLASSES)], Config(), 5)
