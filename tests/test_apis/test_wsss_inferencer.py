"""WSSSInferencer: predictions, batches, tags, files, plain configs, messages."""

import json
import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image

from mmwsss.apis import PictureError, WSSSInferencer
from mmwsss.apis.painting import paint_cams, paint_mask
from mmwsss.datasets import ImageFileError, LabelFileError, read_mask
from mmwsss.datasets.class_palettes import ClassPalette
from mmwsss.errors import UsageError
from mmwsss.evaluation import PredictionError, read_cam_file
from tests.tiny_models import (
    CAM_MODEL,
    CLASSES,
    HEAD,
    LOAD,
    PALETTE,
    SEG_MODEL,
    save_photos,
    save_pipeline,
    save_training,
    save_video,
)

pytestmark = pytest.mark.stack
NAMES = ('a.png', 'b.png', 'c.png', 'd.png', 'sub/e.png')
TAGS = {'a.png': ['cat'], 'b.png': ['dog'], 'c.png': [], 'd.png': ['cat', 'dog'], 'e.png': ['dog']}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two trainings in a pipeline, and photographs of two sizes."""
    root = tmp_path_factory.mktemp('inferencer')
    save_training(root / 'work/cam', CAM_MODEL)
    save_training(root / 'work/seg', SEG_MODEL, views='CRFTTAModel')
    save_pipeline(root / 'work', ['cam', 'seg'])
    save_photos(root / 'photos', NAMES)
    (root / 'tags.json').write_text(json.dumps(TAGS))
    return root


def inferencer(folder, name='seg', **options):
    return WSSSInferencer(work_dir=folder / 'work' / name, device='cpu', **options)


@pytest.fixture(scope='module')
def seg(folder):
    return inferencer(folder)


@pytest.fixture(scope='module')
def cam(folder):
    return inferencer(folder, 'cam')


def files(out_dir):
    paths = sorted(path for path in out_dir.rglob('*') if path.is_file())
    return {path.relative_to(out_dir).as_posix(): path.read_bytes() for path in paths}


def assert_same(one, two):
    assert len(one) == len(two) == len(NAMES)
    for a, b in zip(one, two, strict=True):
        assert (a == b).all()


def test_predictions_are_those_of_the_model(folder, seg):
    steps = [LOAD, dict(type='PackSegInputs')]
    sample = Compose(steps)(dict(img_path=str(folder / 'photos/b.png')))
    with torch.no_grad():
        expected = seg.model.test_step(pseudo_collate([sample]))[0].pred_sem_seg.data[0].numpy()
    found = seg(folder / 'photos/b.png')
    assert found['visualization'] == []
    assert found['predictions'].dtype == np.uint8
    assert found['predictions'].shape == (32, 32)
    assert len(np.unique(expected)) > 1
    assert (found['predictions'] == expected).all()


def test_final_model_of_a_pipeline(folder, seg):
    found = WSSSInferencer(work_dir=folder / 'work', device='cpu')
    assert found.weights == seg.weights
    assert found.classes == (CLASSES, PALETTE)


@pytest.mark.parametrize('model', ['seg', 'cam'])
def test_batches_give_what_single_pictures_give(request, folder, model):
    network = request.getfixturevalue(model)
    one, four = (network(folder / 'photos', batch_size=n)['predictions'] for n in (1, 4))
    assert [mask.shape for mask in one] == [(24, 32), (32, 32)] * 2 + [(24, 32)]
    assert_same(one, four)


def test_batches_hold_pictures_of_one_size(folder, seg, monkeypatch):
    sizes = []
    forward = WSSSInferencer.forward

    def noted(self, data):
        sizes.append([tuple(view.shape[1:]) for view in data['inputs']])
        return forward(self, data)

    monkeypatch.setattr(WSSSInferencer, 'forward', noted)
    seg(folder / 'photos', batch_size=2)
    assert sizes == [[(24, 32)] * 2, [(32, 32)] * 2, [(24, 32)]]


def test_arrays_are_as_files(folder, seg):
    paths = [str(folder / 'photos' / name) for name in NAMES]
    arrays = [cv2.imread(path) for path in paths]
    assert_same(seg(paths)['predictions'], seg(arrays)['predictions'])
    assert seg(arrays[0])['predictions'].shape == (24, 32)


def test_frames_of_a_video(tmp_path, seg):
    video = save_video(tmp_path / 'walk.avi', 3)
    frames = list(_frames(video))
    found = seg(str(video), out_dir=tmp_path / 'out')['predictions']
    assert [(a == b).all() for a, b in zip(found, seg(frames)['predictions'], strict=True)]
    assert sorted(os.listdir(tmp_path / 'out/masks')) == [f'walk_00000{n}.png' for n in range(3)]


def _frames(path):
    reader = cv2.VideoCapture(str(path))
    while (frame := reader.read()[1]) is not None:
        yield frame


def test_samples_and_pictures(folder, cam):
    found = cam([folder / 'photos/a.png'], return_datasamples=True, return_vis=True)
    (sample,), (picture,) = found['predictions'], found['visualization']
    assert sample.cams.data.shape == (2, 24, 32)
    assert (picture.shape, picture.dtype) == ((24, 32, 3), np.uint8)


def test_files(folder, tmp_path, seg):
    found = seg(folder / 'photos', out_dir=tmp_path)['predictions']
    stems = [name.removesuffix('.png') for name in NAMES]
    expected = [f'masks/{s}.png' for s in stems] + [f'overlays/{s}.jpg' for s in stems]
    assert sorted(files(tmp_path)) == sorted(expected)
    for stem, mask in zip(stems, found, strict=True):
        assert (read_mask(tmp_path / f'masks/{stem}.png', len(CLASSES))[0] == mask).all()
    with Image.open(tmp_path / 'masks/a.png') as picture:
        assert np.reshape(picture.getpalette(), (-1, 3))[:3].tolist() == PALETTE


def test_finished_pictures_are_left_out_if_that_is_wanted(folder, tmp_path, seg):
    seg(folder / 'photos', out_dir=tmp_path)
    made = files(tmp_path)
    (tmp_path / 'masks/b.png').write_bytes(b'finished')
    (tmp_path / 'overlays/d.jpg').unlink()
    found = seg(folder / 'photos', out_dir=tmp_path, overwrite=False)['predictions']
    assert [mask is None for mask in found] == [True, True, True, False, True]
    assert files(tmp_path) == {**made, 'masks/b.png': b'finished'}
    seg(folder / 'photos', out_dir=tmp_path)
    assert files(tmp_path) == made


def test_nothing_is_half_written(folder, tmp_path, seg, monkeypatch):
    def fail(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', fail)
    with pytest.raises(UsageError, match=r'a\.jpg cannot be written \(No space left'):
        seg(folder / 'photos', out_dir=tmp_path)
    assert not files(tmp_path)


@pytest.mark.parametrize('kind', ['file', 'dict', 'list'])
def test_tagged_classes_alone_compete(folder, cam, kind):
    tags = dict(file=folder / 'tags.json', dict=TAGS, list=list(TAGS.values()))[kind]
    found = cam(folder / 'photos', tags=tags, batch_size=2)['predictions']
    allowed = [{0, *map(CLASSES.index, names)} for names in TAGS.values()]
    assert all(set(np.unique(m)) <= a for m, a in zip(found, allowed, strict=True))
    assert [m.any() for m in found] == [bool(names) for names in TAGS.values()]


def test_without_tags_predicted_classes_compete(folder, cam):
    cam(folder / 'photos/a.png', tags=[['cat']])
    sample = cam(folder / 'photos/a.png', return_datasamples=True)['predictions']
    likely = {0, *(sample.pred_score >= 0.5).nonzero().flatten().add(1).tolist()}
    assert 'gt_score' not in sample
    assert set(sample.pred_sem_seg.data.unique().tolist()) <= likely


def test_tags_of_a_video_are_those_of_all_frames(tmp_path, cam):
    video = save_video(tmp_path / 'walk.avi', 2)
    for tags in ({'walk.avi': ['dog']}, [['dog']]):
        found = cam(video, tags=tags, return_datasamples=True)['predictions']
        assert [sample.gt_label.tolist() for sample in found] == [[1], [1]]


def test_files_of_maps(folder, tmp_path, cam):
    cam(folder / 'photos', tags=TAGS, out_dir=tmp_path, heat_maps=True)
    keys, cams = read_cam_file(tmp_path / 'cams/d.npz', len(CLASSES))
    assert (keys.tolist(), cams.shape) == ([0, 1], (2, 32, 32))
    assert read_cam_file(tmp_path / 'cams/sub/e.npz')[0].tolist() == [1]
    assert cv2.imread(str(tmp_path / 'heat_maps/d.jpg')).shape == (32, 64, 3)
    assert cv2.imread(str(tmp_path / 'heat_maps/c.jpg')).shape == (24, 32, 3)


@pytest.mark.parametrize('model', ['seg', 'cam'])
def test_several_views(folder, model):
    network = inferencer(folder, model, tta=True)
    tags = None if model == 'seg' else TAGS
    one, two = (network(folder / 'photos', batch_size=n, tags=tags)['predictions'] for n in (1, 2))
    assert_same(one, two)
    single = inferencer(folder, model)(folder / 'photos', tags=tags)['predictions']
    assert any((a != b).any() for a, b in zip(one, single, strict=True))


def test_crf_sees_arrays_too(folder):
    crf = dict(type='DenseCRF', num_iters=1, backend='torch')
    network = inferencer(folder, cfg_options={'model.test_cfg.crf': crf})
    paths = [folder / 'photos' / name for name in NAMES]
    arrays = [cv2.imread(str(path)) for path in paths]
    assert_same(network(paths)['predictions'], network(arrays, batch_size=3)['predictions'])


def relative_error(network, exact, path):
    """Return by how much the logits differ, of the largest."""
    found, expected = (
        x(path, return_datasamples=True)['predictions'].seg_logits.data.float()
        for x in (network, exact)
    )
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(('amp', 'limit'), [('bf16', 0.1), ('fp16', 0.01)])
def test_half_precision(folder, seg, amp, limit):
    path = folder / 'photos/a.png'
    assert 1e-5 < relative_error(inferencer(folder, amp=amp), seg, path) < limit


def test_channels_last(folder, seg):
    network = inferencer(folder, channels_last=True)
    convolutions = [w for w in network.model.parameters() if w.ndim == 4 and w.shape[-1] > 1]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in convolutions)
    assert relative_error(network, seg, folder / 'photos/a.png') < 1e-4


def test_plain_config_of_mmsegmentation(tmp_path):
    model = dict(SEG_MODEL, type='EncoderDecoder')
    load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    config, weights = save_training(tmp_path / 'plain', model, load=load)
    photos = save_photos(tmp_path / 'photos', ['a.png'])
    found = WSSSInferencer(config, weights, device='cpu')(photos / 'a.png', return_vis=True)
    assert found['visualization'].shape == (24, 32, 3)
    (photos / 'a.png').write_bytes(b'no picture')
    with pytest.raises(ImageFileError, match=r'image .*a\.png cannot be read'):
        WSSSInferencer(config, weights, device='cpu')(photos)


def test_classes_that_nobody_names(tmp_path):
    config, weights = save_training(tmp_path, SEG_MODEL)
    torch.save(torch.load(weights)['state_dict'], tmp_path / 'bare.pth')
    bare = str(tmp_path / 'bare.pth')
    message = 'names the 3 classes of the model: give --classes .classes='
    with pytest.raises(UsageError, match=message):
        WSSSInferencer(config, bare, device='cpu')
    named = WSSSInferencer(config, bare, classes=CLASSES, palette=PALETTE, device='cpu')
    assert named.classes == (CLASSES, PALETTE)


def test_weights_of_another_model(folder):
    config = str(folder / 'work/cam/model.py')
    with pytest.raises(UsageError, match=r'lacks \d+ of the weights .*\(cam_head.*that it was'):
        WSSSInferencer(config, folder / 'work/seg/iter_4.pth', device='cpu')


def test_weights_of_another_shape(folder):
    model = dict(SEG_MODEL, decode_head=dict(HEAD, channels=4))
    with pytest.raises(UsageError, match=r'in another shape \(decode_head'):
        WSSSInferencer(dict(_config(folder), model=model), folder / 'work/seg/iter_4.pth')


def _config(folder):
    return Config.fromfile(folder / 'work/seg/model.py').to_dict()


def test_picture_that_cannot_be_read(folder, tmp_path, seg):
    photos = save_photos(tmp_path / 'photos', ['a.png', 'b.png', 'c.png'])
    (photos / 'b.png').write_bytes((photos / 'b.png').read_bytes()[:200])
    with pytest.raises(ImageFileError, match=r'image .*b\.png is truncated or no image'):
        seg(photos, out_dir=tmp_path / 'out')
    assert sorted(files(tmp_path / 'out')) == ['masks/a.png', 'overlays/a.jpg']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(), 'Give a config and a checkpoint, or the work dir'),
        (dict(work_dir='x', weights='y'), 'Give a config and a checkpoint, or the work dir'),
        (dict(model='x.py', weights='gone.pth'), 'There is no checkpoint gone.pth'),
        (dict(amp='fp8'), "amp must be None or one of fp16, bf16, got 'fp8'"),
    ],
)
def test_wrong_settings(options, message):
    with pytest.raises(UsageError, match=message):
        WSSSInferencer(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(device='cuda:99'), 'The device cuda:99 cannot be used'),
        (dict(tta=True, cfg_options=dict(tta_model=None)), 'has no tta_model; add what is missing'),
        (
            {'cfg_options': {'test_dataloader.dataset.pipeline': []}},
            'The config has no test_dataloader.dataset.pipeline',
        ),
    ],
)
def test_settings_that_do_not_fit(folder, options, message):
    with pytest.raises(UsageError, match=message):
        WSSSInferencer(work_dir=folder / 'work/seg', **{'device': 'cpu', **options})


@pytest.mark.parametrize(
    ('tags', 'message'),
    [
        ({'a.png': ['dgo']}, r"tags, entry 'a.png': unknown class 'dgo' \(did you mean 'dog'"),
        ({'x.png': ['dog']}, r'tags has no entry for 1 of 1 pictures \(a\)'),
        ({'a.png': 'dog'}, r"entry 'a.png': received 'dog' where a list of class names"),
        (['dog'], r"entry 0: received 'dog' where a list of class names"),
        ([['dog'], []], 'tags has 2 entries for 1 pictures'),
        ('gone.csv', 'gone.csv: does not exist'),
    ],
)
def test_wrong_tags(folder, cam, tags, message):
    with pytest.raises((UsageError, LabelFileError), match=message):
        cam(folder / 'photos/a.png', tags=tags)


def test_tags_by_name_for_an_array(cam):
    with pytest.raises(UsageError, match='tags by name need files'):
        cam(np.zeros((24, 32, 3), np.uint8), tags={'a': ['dog']})


def test_tags_for_pictures_of_one_name(tmp_path, cam):
    photos = save_photos(tmp_path, ['a.png', 'sub/a.png'])
    with pytest.raises(UsageError, match=r'no entry for 1 of 2 pictures \(sub/a\)'):
        cam(photos, tags={'a.png': ['dog']})


def test_tags_for_a_model_without_use_for_them(folder, seg):
    with pytest.raises(UsageError, match='The CRFEncoderDecoder segments without tags'):
        seg(folder / 'photos', tags=TAGS)


def test_maps_of_a_model_without_maps(folder, tmp_path, seg):
    with pytest.raises(UsageError, match='predicts no class activation maps: leave maps out'):
        seg(folder / 'photos', out_dir=tmp_path / 'new', cams=True)
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_where_a_model_has_no_maps(folder, tmp_path, seg):
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'masks/mine.png').touch()
    with pytest.raises(UsageError, match='no class activation maps'):
        seg(folder / 'photos', out_dir=tmp_path, heat_maps=True)
    assert [path.name for path in tmp_path.rglob('*')] == ['masks', 'mine.png']


def test_batch_size_of_zero(folder, seg):
    with pytest.raises(UsageError, match='batch_size must be at least 1, got 0'):
        seg(folder / 'photos', batch_size=0)


def test_overlays_leave_the_background_as_it_is():
    image, mask = np.full((8, 8, 3), 100, np.uint8), np.zeros((8, 8), np.uint8)
    mask[:4] = 1
    painted = paint_mask(image, mask, ClassPalette(CLASSES, PALETTE), with_labels=False)
    assert (painted[4:] == 100).all()
    assert painted[0, 0].tolist() == [160, 58, 58]
    # of classes without background the first is painted, too
    roads = ClassPalette(('road', 'car'), [[200, 30, 30], [0, 0, 200]])
    assert (paint_mask(image, mask, roads, with_labels=False) != 100).any(axis=2).all()


def test_overlays_name_the_classes():
    image, mask = np.full((60, 90, 3), 100, np.uint8), np.ones((60, 90), np.uint8)
    classes = ClassPalette(CLASSES, PALETTE)
    plain, named = (paint_mask(image, mask, classes, with_labels=x) for x in (False, True))
    changed = np.argwhere((plain != named).any(axis=2))
    assert len(changed) > 50
    assert np.abs(changed.mean(axis=0) - (30, 45)).max() < 8


def test_heat_maps_side_by_side():
    image = np.zeros((40, 60, 3), np.uint8)
    cams = np.stack([np.zeros((40, 60)), np.ones((40, 60))])
    painted = paint_cams(image, np.array([0, 1]), cams, CLASSES)
    assert painted.shape == (40, 120, 3)
    assert painted[39, 0].argmax() == 2  # blue for 0
    assert painted[39, 119].argmax() == 0  # red for 1


# pictures that are broken, tiny, or of which a network makes nothing


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize('name', ['seg', 'cam'])
def test_tiny_pictures_are_segmented_in_all_views(folder, tmp_path, name, size):
    cv2.imwrite(str(tmp_path / 'dot.png'), np.zeros((*size, 3), np.uint8))
    found = inferencer(folder, name, tta=True)(tmp_path / 'dot.png', out_dir=tmp_path / 'out')
    assert found['predictions'].shape == size


def test_broken_pictures_are_left_out_on_request(folder, tmp_path, seg):
    save_photos(tmp_path / 'photos', ['a.png', 'c.png'])
    (tmp_path / 'photos/b.png').write_bytes(b'no picture')
    with pytest.raises(ImageFileError, match=r'b\.png'):
        list(seg.stream(tmp_path / 'photos'))
    found = list(seg.stream(tmp_path / 'photos', skip_broken=True, out_dir=tmp_path / 'out'))
    assert [one.name for one in found if one.problem is None] == ['a', 'c']
    assert 'b.png is truncated or no image' in found[-1].problem
    assert files(tmp_path / 'out').keys() == {
        f'{kind}/{name}'
        for kind, name in (
            ('masks', 'a.png'),
            ('masks', 'c.png'),
            ('overlays', 'a.jpg'),
            ('overlays', 'c.jpg'),
        )
    }


def test_predictions_that_are_not_finite_become_no_mask(folder, tmp_path, monkeypatch):
    broken = inferencer(folder)
    with torch.no_grad():
        broken.network.decode_head.conv_seg.bias.fill_(float('nan'))
    with pytest.raises(PredictionError, match=r'a\.png: the model predicts NaN'):
        broken(folder / 'photos/a.png', out_dir=tmp_path)
    assert not files(tmp_path)


def test_want_of_memory_names_the_picture(folder, tmp_path, monkeypatch):
    poor = inferencer(folder)
    monkeypatch.setattr(poor.model, 'test_step', lambda data: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(PictureError, match=r'memory does not suffice for .*a\.png'):
        poor(folder / 'photos/a.png')
