"""A pipeline for one's own photographs: the check, the configs, training and new pictures."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS, MODELS, PARAM_SCHEDULERS
from PIL import Image

from mmwsss.cli import launch
from mmwsss.datasets import ImageEntry, image_id, read_mask
from mmwsss.errors import UsageError
from mmwsss.pipeline import Pipeline
from mmwsss.pipeline.photographs.configs import largest_size
from mmwsss.pipeline.photographs.folder import check_folder
from mmwsss.pipeline.photographs.images import fit_images
from mmwsss.pipeline.photographs.pipeline import own_pipeline
from mmwsss.pipeline.photographs.schedule import MIN_ITERS, set_schedule
from mmwsss.pipeline.tool_configs import write_config
from tests.leftovers import forget_runs
from tests.loading import load_file
from tests.weak_data import make_image, save_image, save_mask, save_text

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'
CLASSES = ('background', 'car', 'dog')
PHOTOS = {
    'a.jpg': ('dog', (60, 90)),
    'b.png': ('car', (200, 150)),  # larger than the tiny networks' 144
    'c.bmp': ('car;dog', (50, 40)),
    'd.jpg': ('', (130, 140)),
    'e.jpg': ('dog', (30, 144)),
}
TRAININGS = dict(
    cam='cam/cam_r38-tiny_emblems',
    seam='seam/seam_r38-tiny_emblems',
    affinity='affinitynet/affinitynet_r38-tiny_emblems',
    segmentation='deeplab_pseudo/deeplabv1_r38-tiny_emblems',
)
SHORT = {
    'train_cfg.max_iters': 2,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
}


def train_stage(name, **sources):
    return dict(type='Train', config=f'configs/{TRAININGS[name]}.py', **sources)


def template():
    """Return the pipeline of SEAM on Emblems, each training two iterations long."""
    stages = dict(
        data=dict(type='DrawEmblems', data_root='nowhere'),
        cam=train_stage('cam'),
        seam=train_stage('seam', pretrained='cam'),
        maps=dict(type='MakeCAMs', model='seam', splits=['train', 'val']),
        labels=dict(type='MakeAffinityLabels', cams='maps', style='psa', splits=['train']),
        affinity=train_stage('affinity', pretrained='cam', labels='labels'),
        walks=dict(type='MakeWalks', model='affinity', cams='maps', splits=['val']),
        masks=dict(type='MakePseudoMasks', cams='walks', splits=['train'], bg_score=0.3),
        segmentation=train_stage('segmentation', pretrained='cam', masks='masks'),
        test=dict(type='Test', model='segmentation', splits=['val'], tta=True),
    )
    for stage in stages.values():
        if stage['type'] == 'Train':
            stage['options'] = SHORT
    return Config(dict(title='SEAM', classes='voc', splits={}, stages=stages))


def trainings(*names):
    """Return a pipeline of trainings alone; the last one's model is for new pictures."""
    return Config(dict(stages={name: train_stage(name) for name in names}))


def make_photos(root, photos=None, masks=()):
    """Write photographs with a rectangle for each tag, their tags, and masks of some."""
    photos = PHOTOS if photos is None else photos
    for seed, (name, (tags, size)) in enumerate(photos.items()):
        indices = [CLASSES.index(tag) for tag in tags.split(';') if tag]
        image, mask, _ = make_image(indices, size, seed)
        save_image(root / 'photos' / name, image)
        if image_id(name) in masks:
            save_mask(root / 'masks' / f'{image_id(name)}.png', mask)
    lines = ['image,labels', *(f'{name},{tags}' for name, (tags, _) in photos.items())]
    save_text(root / 'tags.csv', '\n'.join(lines) + '\n')
    return root


@pytest.fixture
def folder(tmp_path):
    return make_photos(tmp_path)


def own(root, pipeline=None, **kwargs):
    arguments = dict(
        images=str(root / 'photos'),
        labels=str(root / 'tags.csv'),
        work_dir=str(root / 'work'),
        tools=TOOLS,
        say=lambda text: None,
    )
    return own_pipeline(template() if pipeline is None else pipeline, **{**arguments, **kwargs})


def check(root, images=None, labels=None, **kwargs):
    arguments = dict(masks=None, classes=None, work_dir=str(root / 'work'), workers=1)
    return check_folder(
        str(images or root / 'photos'),
        str(labels or root / 'tags.csv'),
        **{**arguments, 'say': lambda text: None, **kwargs},
    )


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Return a folder whose configs are written; no test changes it."""
    root = make_photos(tmp_path_factory.mktemp('made'))
    own(root)
    return root


def config_of(root, name):
    return Config.fromfile(root / 'work' / 'configs' / f'{name}.py')


def started(root, name, pipeline=None):
    """Return the config that a training is started with."""
    (command,) = Pipeline(own(root, pipeline), root / 'work', TOOLS).stages[name].commands()
    return command.config


# the pipeline


def test_the_pipeline_is_that_of_the_template_without_its_data(folder):
    cfg = own(folder)
    assert Path(cfg.apply[1]).name == 'infer.py'
    assert cfg.apply[2:5] == ['NEW_FOLDER', '--work-dir', str(folder / 'work')]
    assert cfg.classes == list(CLASSES)
    assert [stage.type for stage in cfg.stages.values()] == [
        'Train',
        'Train',
        'MakeCAMs',
        'MakeAffinityLabels',
        'Train',
        'MakeWalks',
        'MakePseudoMasks',
        'Train',
        'Test',
    ]
    assert all(stage.splits == ['train'] for stage in cfg.stages.values() if 'splits' in stage)
    assert not any('options' in stage for stage in cfg.stages.values())
    assert Path(cfg.splits.train.split).read_text().split() == [
        'a.jpg',
        'b.jpg',
        'c.bmp',
        'd.jpg',
        'e.jpg',
    ]
    assert 'masks' not in cfg.splits.train


def test_sizes_and_schedule_of_a_config_count_first(folder):
    cfg = Config.fromfile(ROOT / 'configs/cam/cam_effnet-lite0_photographs.py')
    assert largest_size(cfg) == 320
    set_schedule(cfg, 600)
    assert cfg.train_cfg.max_iters == 400


def test_masks_of_some_photographs_are_those_that_are_evaluated(tmp_path):
    make_photos(tmp_path, masks=('a', 'b'))
    cfg = own(tmp_path, trainings('seam', 'segmentation'), masks=str(tmp_path / 'masks'))
    assert Path(cfg.splits.train.names).read_text().split() == ['a.jpg', 'b.jpg']
    for name in ('a', 'b'):
        with Image.open(Path(cfg.splits.train.images, f'{name}.jpg')) as image:
            mask, _ = read_mask(Path(cfg.splits.train.masks, f'{name}.png'), len(CLASSES))
            assert mask.shape == image.size[::-1]
    test = config_of(tmp_path, 'seam').test_dataloader.dataset
    found = DATASETS.build(test)
    assert [item['data_samples'].gt_sem_seg.shape for item in found] == [(60, 90), (144, 108)]
    assert config_of(tmp_path, 'seam').test_evaluator.metrics[0].type == 'MaskMetric'


def test_writing_again_touches_no_file(folder):
    own(folder, trainings('cam'))
    files = {path: path.stat().st_mtime_ns for path in (folder / 'work').rglob('*.*')}
    time.sleep(0.01)
    own(folder, trainings('cam'))
    assert files == {path: path.stat().st_mtime_ns for path in (folder / 'work').rglob('*.*')}


# the configs


@pytest.mark.parametrize('name', TRAININGS)
def test_heads_and_data_are_those_of_the_photographs(made, name):
    cfg = started(made, name)
    assert 'nowhere' not in cfg.pretty_text and 'emblems' not in str(cfg.train_dataloader)
    assert cfg.custom_imports.imports == ['mmwsss'] and cfg.default_scope == 'mmseg'
    head = cfg.model.get('cam_head') or cfg.model.get('decode_head')
    assert head is None or head.num_classes == len(CLASSES)
    cfg.model.backbone.pop('init_cfg', None)
    MODELS.build(cfg.model)
    test = DATASETS.build(cfg.test_dataloader.dataset)
    assert test.metainfo['classes'] == CLASSES
    assert [max(item['inputs'].shape[1:]) for item in test] == [90, 144, 50, 140, 144]


def test_trainings_find_what_earlier_stages_make(made):
    work = f'{made}/work'
    pipeline = Pipeline(own(made), Path(work), TOOLS)
    (command,) = pipeline.stages['segmentation'].commands()
    cfg = command.config
    assert cfg.model.backbone.init_cfg.checkpoint == f'{work}/cam/iter_2.pth'
    assert cfg.train_dataloader.dataset.data_prefix.seg_map_path == f'{work}/masks/train'
    (command,) = pipeline.stages['affinity'].commands()
    steps = command.config.train_dataloader.dataset.pipeline
    assert [s.label_dir for s in steps if 'label_dir' in s] == [f'{work}/labels/train']


def semformer_of(folder, backbone, data):
    """Return the configs that SemFormer and its auto-encoder start with."""
    stages = dict(
        caae=dict(type='Train', config=f'configs/semformer/caae_{backbone[0]}_{data}.py'),
        semformer=dict(
            type='Train',
            config=f'configs/semformer/semformer_{backbone[1]}_{data}.py',
            weights={'model.caae.init_cfg.checkpoint': 'caae'},
        ),
    )
    pipeline = Pipeline(own(folder, Config(dict(stages=stages))), folder / 'work', TOOLS)
    return [stage.commands()[0].config for stage in pipeline.stages.values()]


def test_a_guide_has_the_classes_of_the_photographs_too(folder):
    caae, semformer = semformer_of(folder, ['deit-tiny'] * 2, 'emblems')
    guide = semformer.model.caae
    assert caae.model.embed_head.num_classes == guide.embed_head.num_classes == len(CLASSES)
    path = f'{folder}/work/caae/iter_{caae.train_cfg.max_iters}.pth'
    assert guide.init_cfg.checkpoint == path
    for cfg in (caae, semformer):
        cfg.model.backbone.init_cfg = None
    os.makedirs(os.path.dirname(path))
    torch.save(dict(state_dict=MODELS.build(caae.model).state_dict()), path)
    model = MODELS.build(semformer.model)
    model.init_weights()
    assert model.backbone.num_class_tokens == len(CLASSES)
    dataset = DATASETS.build(semformer.train_dataloader.dataset)
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[2]]), training=True)
    losses = model(**batch, mode='loss')
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_photographs_are_as_large_as_the_network_sees_that_makes_maps(folder):
    caae, semformer = semformer_of(folder, ('deit-b', 'deit-s'), 'voc')
    for cfg in (caae, semformer):
        steps = cfg.test_dataloader.dataset.pipeline
        assert [step.max_size for step in steps if step.type == 'LimitLongSide'] == [504]
    # what fits already is not cropped again
    kinds = [step.type for step in caae.train_dataloader.dataset.pipeline]
    assert 'ZoomIntoPart' in kinds and 'CropWithValidBox' not in kinds


def test_photographs_of_all_sizes_make_a_batch(made):
    cfg = config_of(made, 'seam')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert {tuple(item['inputs'].shape) for item in dataset} == {(3, 128, 128)}
    kinds = [s.type for s in config_of(made, 'affinity').train_dataloader.dataset.pipeline]
    assert kinds.index('CropWithValidBox') < kinds.index('FuseAffinityScores')


@pytest.mark.parametrize('key', ['test_pipeline', 'tta_pipeline'])
def test_new_pictures_are_seen_as_large_as_the_photographs(made, tmp_path, key):
    save_image(tmp_path / 'big.jpg', make_image([1], (300, 200), 0)[0])
    cfg = config_of(made, 'segmentation')
    dataset = dict(cfg.test_dataloader.dataset, data_prefix=dict(img_path=str(tmp_path)))
    (item,) = DATASETS.build(dict(dataset, pipeline=cfg[key]))
    views = item['inputs'] if key == 'tta_pipeline' else [item['inputs']]
    samples = item['data_samples'] if key == 'tta_pipeline' else [item['data_samples']]
    assert {tuple(view.shape) for view in views} == {(3, 144, 96)}
    assert {sample.ori_shape for sample in samples} == {(300, 200)}
    assert cfg.model.test_cfg.crf.type == 'LimitedDenseCRF'


@pytest.mark.parametrize(
    'name, num_images, iters, interval, ends',
    [
        ('cam/cam_r38_voc', 10582, 10576, 2000, [10577]),
        ('cam/cam_r38_voc', 5291, 5288, 1000, [5289]),
        ('cam/cam_r38_voc', 100, MIN_ITERS, 378, [MIN_ITERS + 1]),
        ('irn/irn_r50_voc', 100, 990, 990, [991]),
        ('segformer_pseudo/segformer_mit-b1_voc', 5291, 10000, 1000, [750, 10001]),
        ('seam/seam_r38-tiny_emblems', 30, 500, 500, [50, 501]),
        ('seam/seam_r38-tiny_emblems', 4000, 1000, 1000, [100, 1001]),
    ],
)
def test_as_many_epochs_as_in_the_template(name, num_images, iters, interval, ends):
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    set_schedule(cfg, num_images)
    assert cfg.train_cfg.max_iters == iters
    # no more checkpoints are written than before, nor fewer
    assert min(cfg.default_hooks.checkpoint.interval, iters) == interval
    assert [scheduler.end for scheduler in cfg.param_scheduler] == ends


def test_phases_of_a_model_move_along():
    cfg = Config.fromfile(str(ROOT / 'configs/afa/afa_mit-b1_voc.py'))
    set_schedule(cfg, 5000, 2000)
    phases = cfg.model.train_cfg
    assert (phases.warmup_iters, phases.switch_iters) == (200, 600)


def test_iterations_that_are_set_move_the_schedule():
    cfg = Config.fromfile(ROOT / 'configs/segformer_pseudo/segformer_mit-b1_voc.py')
    set_schedule(cfg, 5000, 200)
    assert cfg.train_cfg.max_iters == 200
    assert [scheduler.end for scheduler in cfg.param_scheduler] == [15, 201]


@pytest.mark.parametrize('iters, ends', [(20, [2, 21]), (1, [1, 2])])
def test_warm_up_of_a_short_training_comes_to_its_end(iters, ends):
    cfg = Config.fromfile(ROOT / 'configs/seam/seam_r38-tiny_emblems.py')
    set_schedule(cfg, 30, iters)
    assert [scheduler.end for scheduler in cfg.param_scheduler] == ends
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    kwargs = cfg.param_scheduler[0].copy()
    warm_up = PARAM_SCHEDULERS.build(dict(kwargs, optimizer=optimizer))
    for _ in range(iters):
        optimizer.step()
        warm_up.step()
    assert optimizer.param_groups[0]['lr'] == (1 if iters > 1 else 0.1)


def test_the_batch_is_no_larger_than_the_folder():
    cfg = Config.fromfile(ROOT / 'configs/seam/seam_r38_voc.py')
    set_schedule(cfg, 3)
    assert cfg.train_dataloader.batch_size == 3
    assert cfg.train_dataloader.sampler.type == 'NumberedInfiniteSampler'


def test_one_class_is_enough(tmp_path):
    make_photos(tmp_path, {'a.jpg': ('dog', (40, 50)), 'b.jpg': ('', (30, 30))})
    cfg = own(tmp_path, trainings('seam'))
    assert cfg.classes == ['background', 'dog']
    assert config_of(tmp_path, 'seam').model.cam_head.num_classes == 2


@pytest.mark.parametrize('names, tags', [(['seam'], False), (['seam', 'segmentation'], True)])
def test_the_last_model_needs_no_tags(folder, names, tags):
    own(folder, trainings(*names))
    cfg = config_of(folder, 'seam')
    assert cfg.model.test_cfg.use_image_labels is tags
    assert bool(cfg.test_dataloader.dataset.image_labels) is tags


# copies


def test_a_flat_folder_of_small_photographs_is_used_as_it_is(tmp_path):
    make_photos(tmp_path, {'a.jpg': ('dog', (40, 50)), 'b.jpg': ('', (144, 30))})
    assert own(tmp_path, trainings('cam')).splits.train.images == str(tmp_path / 'photos')
    assert not (tmp_path / 'work/images_144').exists()


def test_photographs_in_subfolders_come_into_one(tmp_path):
    make_photos(tmp_path, {'x/a.jpg': ('dog', (40, 50)), 'y/b.jpg': ('car', (30, 30))})
    images = Path(own(tmp_path, trainings('cam')).splits.train.images)
    assert sorted(os.listdir(images)) == ['a.jpg', 'b.jpg']
    assert (images / 'a.jpg').read_bytes() == (tmp_path / 'photos/x/a.jpg').read_bytes()


def test_large_photographs_are_made_smaller_upright(tmp_path):
    image = np.zeros((40, 80, 3), np.uint8)
    image[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(image).save(tmp_path / 'a.jpg', exif=exif, quality=95)
    (fitted,) = fit_images(
        [ImageEntry(str(tmp_path / 'a.jpg'))], str(tmp_path / 'w'), 20, workers=1
    )
    with Image.open(fitted.img_path) as copy:
        pixels = np.asarray(copy)
    assert pixels.shape == (20, 10, 3)
    assert pixels[:, 6:].min() > 200 and pixels[:, :4].max() < 50


def test_a_photograph_that_changed_is_copied_again_and_one_that_left_goes(folder):
    own(folder, trainings('cam'))
    copies = folder / 'work/images_144'
    before = (copies / 'a.jpg').read_bytes()
    save_image(folder / 'photos/a.jpg', make_image([], (90, 60), 9)[0])
    (folder / 'photos/c.bmp').unlink()
    text = (folder / 'tags.csv').read_text()
    (folder / 'tags.csv').write_text(text.replace('c.bmp,car;dog\n', ''))
    own(folder, trainings('cam'))
    assert (copies / 'a.jpg').read_bytes() != before
    assert sorted(os.listdir(copies)) == ['a.jpg', 'b.jpg', 'd.jpg', 'e.jpg']


def test_originals_in_the_work_dir_are_not_taken_for_copies(tmp_path):
    make_photos(tmp_path, {'x/a.jpg': ('dog', (40, 50)), 'b.jpg': ('car', (30, 30))})
    (tmp_path / 'work').mkdir()
    shutil.move(tmp_path / 'photos', tmp_path / 'work/images_144')
    with pytest.raises(UsageError, match='lies in --work-dir .*name the folder of the originals'):
        own(tmp_path, trainings('cam'), images=str(tmp_path / 'work/images_144'))
    assert (tmp_path / 'work/images_144/x/a.jpg').exists()


# what is wrong with a folder


def no_image(root):
    for path in (root / 'photos').iterdir():
        path.unlink()


def no_tag(root):
    save_text(root / 'tags.csv', 'image,labels\n' + ''.join(f'{name},\n' for name in PHOTOS))


def background(root):
    text = (root / 'tags.csv').read_text()
    save_text(root / 'tags.csv', text.replace('d.jpg,', 'd.jpg,Background'))


def many_classes(root):
    names = ';'.join(f'class{i}' for i in range(255))
    text = (root / 'tags.csv').read_text()
    save_text(root / 'tags.csv', text.replace('d.jpg,', f'd.jpg,{names}'))


def alike(root):
    text = (root / 'tags.csv').read_text()
    save_text(root / 'tags.csv', text.replace('d.jpg,', 'd.jpg,Dog'))


def same_name(root):
    save_image(root / 'photos/a.png', make_image([], (20, 20), 0)[0])


def unreadable(root):
    content = (root / 'photos/a.jpg').read_bytes()
    (root / 'photos/a.jpg').write_bytes(content[: len(content) // 2])


def other_names(root):
    save_text(root / 'tags.csv', 'image,labels\na,dog\nb,car\nghost,dog\nc,\n')


def no_header(root):
    save_text(root / 'tags.csv', 'a.jpg,dog\n')


@pytest.mark.parametrize(
    'spoil, match',
    [
        (no_image, r'photos holds no photograph: give a folder with files that end with \.jpg'),
        (no_tag, r'tags\.csv names no class: tag what the photographs show'),
        (background, r"tags\.csv, line 5: class 'Background' is the background"),
        (many_classes, r'names 257 classes where 254 fit into a mask'),
        (alike, r"the classes 'dog' \(line 2\), 'Dog' \(line 5\) differ in case or blanks alone"),
        (
            same_name,
            r'Names that are taken twice: 1 \(.*a: .*a\.jpg and .*a\.png.*\); keep or rename',
        ),
        (unreadable, r'Photographs that cannot be read: 1 \(image .*a\.jpg is truncated'),
        (other_names, r'Photographs without entry: 2 \(d, e\); add .*\n.*photograph: 1 \(ghost\)'),
        (no_header, r'tags\.csv, line 1: .* begin the file with the line "image,labels"'),
    ],
)
def test_what_is_wrong_is_one_sentence(folder, spoil, match):
    spoil(folder)
    with pytest.raises(UsageError, match=match):
        check(folder)


def test_an_unknown_tag_is_named_with_its_line_where_classes_are_given(folder):
    with pytest.raises(UsageError, match=r"line 2: unknown class 'dog' \(did you mean 'dogs'\?\)"):
        check(folder, classes=['car', 'dogs'])


@pytest.mark.parametrize(
    'paths, match',
    [
        (dict(images='nowhere'), '--images nowhere: there is no such folder'),
        (dict(labels='nowhere.csv'), r'--labels nowhere\.csv: there is no such file'),
        (dict(masks='nowhere'), '--masks nowhere: there is no such folder'),
        (dict(work_dir='{}/photos/work'), '--work-dir .*work lies in --images .*photos'),
        (dict(masks='{}/photos/masks'), '--masks .*masks lies in --images .*photos'),
        (dict(masks='{}/others'), '--masks .*others holds no mask of a photograph'),
    ],
)
def test_folders_that_cannot_be_used(folder, paths, match):
    for path in ('photos/masks', 'others'):
        (folder / path).mkdir()
    paths = {key: path.format(folder) for key, path in paths.items()}
    with pytest.raises(UsageError, match=match):
        check(folder, **paths)


@pytest.mark.parametrize(
    'mask, match',
    [
        (np.zeros((60, 91), np.uint8), r'Masks of another size.*a\.png is 91 x 60, its image 90 x'),
        (
            np.full((60, 90), 3, np.uint8),
            r'Masks with values .*a\.png holds \[3\] beside 0 to 2',
        ),
    ],
)
def test_masks_that_do_not_fit(folder, mask, match):
    save_mask(folder / 'masks/a.png', mask)
    with pytest.raises(UsageError, match=match):
        check(folder, masks=str(folder / 'masks'))


def test_what_is_worth_knowing_is_said(folder):
    save_mask(folder / 'masks/a.png', np.full((60, 90), 1, np.uint8))
    save_mask(folder / 'masks/z.png', np.zeros((6, 9), np.uint8))
    said = []
    check(folder, masks=str(folder / 'masks'), classes=[*CLASSES, 'train'], say=said.append)
    kind, first, *others = said
    assert kind == f'Tags: {folder / "tags.csv"}, a row for each image.'
    assert first == (
        '5 photographs, tagged car 2, dog 3, train 0; 1 have a mask and are evaluated.'
    )
    text = '\n'.join(others)
    assert 'Photographs without tags: 1 (d);' in text
    assert 'Classes without photographs: 1 (train);' in text
    assert 'Masks without photograph: 1 (z.png);' in text
    assert 'differ from the mask: 1 (a: dog tagged only; car in the mask only); correct' in text


def test_readable_files_are_read_once(folder, monkeypatch):
    check(folder)
    reads = []
    monkeypatch.setattr(
        'mmwsss.pipeline.photographs.folder.check_image', lambda *args, **kwargs: reads.append(args)
    )
    check(folder)
    assert not reads


def test_a_file_that_changed_is_read_again(folder):
    check(folder)
    unreadable(folder)
    with pytest.raises(UsageError, match='Photographs that cannot be read: 1'):
        check(folder)


@pytest.mark.parametrize(
    'name, text',
    [
        ('tags.json', '{"a": ["dog"], "b": ["car"], "c": ["car", "dog"], "d": [], "e": ["dog"]}'),
        ('tags.csv', 'labels;image\ndog;a\ncar;b\ncar,dog;c\n;d\ndog;e\n'),
    ],
)
def test_classes_are_found_in_any_file_of_names(folder, name, text):
    save_text(folder / name, text)
    assert check(folder, labels=folder / name).classes == CLASSES


def test_numbers_need_the_names(folder):
    np.save(folder / 'tags.npy', {name: [0.0, 1.0] for name in 'abcde'}, allow_pickle=True)
    with pytest.raises(UsageError, match=r'tags\.npy: no source whose classes are known by name'):
        check(folder, labels=folder / 'tags.npy')
    found = check(folder, labels=folder / 'tags.npy', classes=['car', 'dog'])
    assert found.classes == CLASSES


# training and new pictures


def run(name, *words):
    forget_runs()
    tool = load_file(TOOLS / f'{name}.py')
    launch.run_tool(tool.make_parser(), getattr(tool, name), [str(word) for word in words])


def run_test(folder, stage, *words):
    """Segment the pictures in ``new`` by the config of a stage, without tags and masks."""
    work, key = folder / 'work', 'test_dataloader.dataset.data_prefix.img_path'
    words = [*words, '--out', folder / 'out', '--work-dir', folder / 'log']
    words += ['--cfg-options', f'{key}={folder}/new']
    run('test', work / f'configs/{stage}.py', work / f'{stage}/iter_2.pth', *words)


@pytest.mark.filterwarnings('ignore')  # MMEngine's, of small trainings
def test_a_folder_is_trained_on_and_new_pictures_are_segmented(folder, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    work = folder / 'work'
    pipeline = Pipeline(own(folder), work, TOOLS)
    for path in (work / 'images_144').iterdir():
        with Image.open(path) as image:
            mask = np.zeros(image.size[::-1], np.uint8)
        mask[:10], mask[10:20] = 255, 2
        save_mask(work / f'masks/train/{path.stem}.png', mask)
    for stage in ('cam', 'segmentation'):
        (command,) = pipeline.stages[stage].commands()
        write_config(command.config, Path(command.words[0]))
        run('train', *command.words)
    save_image(folder / 'new/sub/x.png', make_image([1], (300, 200), 0)[0])
    save_image(folder / 'new/y.jpg', make_image([2], (30, 40), 1)[0])
    run_test(folder, 'segmentation', '--show-dir', folder / 'painted')
    sizes = {}
    for path in (folder / 'out').iterdir():
        with Image.open(path) as mask:
            assert mask.mode == 'P' and mask.getpalette()[3:6] == [128, 0, 0]
            assert set(np.unique(mask)) <= {0, 1, 2}
            sizes[path.name] = mask.size
    assert sizes == {'x.png': (200, 300), 'y.png': (40, 30)}
    assert len(list((folder / 'painted').rglob('*.png'))) == 2


def test_photographs_of_one_name_in_two_folders(tmp_path):
    for name, value in (('cat', 1), ('dog', 2)):
        image = make_image([value], (20, 20), value)[0]
        save_image(tmp_path / f'photos/{name}/1.jpg', image)
        save_mask(tmp_path / f'masks/{name}/1.png', np.full((20, 20), value, np.uint8))
    save_text(tmp_path / 'tags.csv', 'image,labels\ndog/1.jpg,dog\ncat/1.jpg,cat\n')
    cfg = own(tmp_path, masks=str(tmp_path / 'masks'))
    train = cfg.splits['train']
    assert Path(train['split']).read_text().split() == ['cat__1.jpg', 'dog__1.jpg']
    stage = next(stage for stage in cfg.stages.values() if stage['type'] == 'Train')
    options = Config.fromfile(stage['config']).train_dataloader.dataset
    dataset = DATASETS.build({**options, 'pipeline': []})
    assert [dataset.get_data_info(i)['gt_label'] for i in range(2)] == [[0], [1]]
    for name, value in (('cat', 1), ('dog', 2)):
        assert (read_mask(f'{train["masks"]}/{name}__1.png', 3)[0] == value).all()
