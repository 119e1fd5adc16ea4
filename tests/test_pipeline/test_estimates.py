"""How long a pipeline will take: what is counted, and what is left out."""

import pytest
from mmengine.config import Config

from mmwsss.pipeline import Pipeline, estimates
from mmwsss.pipeline.estimates import START, estimate, prediction_seconds, training_seconds
from mmwsss.pipeline.photographs.pipeline import own_pipeline
from tests.test_pipeline.test_own_data import TOOLS, make_photos, template

pytestmark = pytest.mark.stack
TINY = 'configs/cam/cam_r38-tiny_emblems.py'


@pytest.fixture
def pipeline(tmp_path):
    make_photos(tmp_path)
    work = str(tmp_path / 'work')
    images, labels = str(tmp_path / 'photos'), str(tmp_path / 'tags.csv')
    cfg = own_pipeline(
        template(), images=images, labels=labels, work_dir=work, tools=TOOLS, say=lambda text: None
    )
    return Pipeline(cfg, tmp_path / 'work', TOOLS, workers=1)


def test_a_step_and_an_image_are_run_with_random_weights():
    cfg = Config.fromfile(TOOLS.parent / TINY)
    cfg.train_dataloader.batch_size = 2
    cfg.model.data_preprocessor.size = (32, 32)
    assert training_seconds(cfg, 7) > 0
    one = prediction_seconds(cfg, (32, 32), 7, tta=False)
    # 4 scales, mirrored: 15 times the pixels
    assert prediction_seconds(cfg, (32, 32), 7, tta=True) > 3 * one > 0


def test_all_stages_count_but_those_that_are_not_known(pipeline, monkeypatch):
    monkeypatch.setattr(estimates, 'training_seconds', lambda *args: 10.0)
    monkeypatch.setattr(estimates, 'prediction_seconds', lambda *args, **kwargs: 100.0)
    seconds, unknown = estimate(pipeline, 5, (100, 90), 1)
    assert unknown == ['labels', 'affinity', 'walks']
    # three trainings of 2 iterations, maps and test of 5 images, files of pseudo masks
    assert seconds == pytest.approx(3 * 2 * 10 + 2 * 5 * 100 + 6 * START, rel=0.02)


def test_what_is_finished_takes_no_time(pipeline, monkeypatch):
    monkeypatch.setattr(estimates, 'stage_seconds', lambda *args: 1.0)
    (pipeline.folder('cam')).mkdir(parents=True)
    (pipeline.folder('cam') / estimates.MANIFEST).write_text('{}')
    assert estimate(pipeline, 5, (100, 90), 1) == (len(pipeline.stages) - 1, [])
