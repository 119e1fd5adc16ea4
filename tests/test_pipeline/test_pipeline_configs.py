"""The pipelines of the package: every stage's commands, and what a change of settings concerns."""

import shlex
from pathlib import Path

import pytest
from mmengine.config import Config

from mmwsss.datasets import make_emblems
from mmwsss.datasets.emblems import EmblemsSettings
from mmwsss.errors import UsageError
from mmwsss.models.pretrained_table import TABLE
from mmwsss.pipeline import Pipeline, read_pipeline, show_plan
from mmwsss.pipeline.manifests import MANIFEST, new_record, write_json
from mmwsss.pipeline.plan import make_plan
from mmwsss.pipeline.tool_configs import flat_options, write_config
from tests.loading import load_file
from tests.weak_data import make_coco, make_image, make_voc, save_image, save_text

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/pipelines'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))
STAGES = dict(
    seam_r38_voc='seam seam_maps labels affinity walks masks segmentation test',
    seam_r38_coco='seam seam_maps labels affinity walks masks segmentation test',
)
APC = 'apc {}cams test test_crf'
AFA = 'afa {}cams affinity_cams test test_crf'
TOCO = 'toco {}cams aux_cams test test_scales test_crf'
SEAM = [name for name in NAMES if name.startswith('seam')]
STAGES['seam_r38-tiny_emblems'] = (
    'data cam cam_maps seam seam_maps par_maps labels affinity walks masks segmentation test'
)
SEMFORMER = 'semformer semformer_maps {}boundary walks masks segmentation test'
STAGES['semformer_deit-s_voc'] = f'caae {SEMFORMER.format("labels ")}'
STAGES['semformer_deit-tiny_emblems'] = (
    f'data cam cam_maps caae {SEMFORMER.format("par_maps labels classifier ")}'
)
STAGES['afa_mit-b1_voc'] = STAGES['afa_mit-b1_coco'] = AFA.format('')
STAGES['afa_mit-tiny_emblems'] = f'data classifier cam cam_maps {AFA.format("afa_maps par_maps ")}'
STAGES['apc_vit-b_voc'] = STAGES['apc_vit-b_coco'] = APC.format('')
STAGES['vit-pcm_vit-b_voc'] = 'vit_pcm baseline_masks masks segmentation test'
STAGES['apc_vit-tiny_emblems'] = f'data cam {APC.format("apc_maps par_maps ")}'
STAGES['toco_vit-b_voc'] = STAGES['toco_vit-b_coco'] = TOCO.format('')
STAGES['toco_vit-tiny_emblems'] = f'data cam {TOCO.format("toco_maps par_maps ")}'
MCT = 'mctformer mctformer_maps {}affinity walks masks segmentation test'
for version in ('v1', 'v2', 'plus'):
    STAGES[f'mctformer-{version}_deit-s_voc'] = MCT.format('labels classifier ')
for version in ('v2', 'plus'):
    STAGES[f'mctformer-{version}_deit-s_coco'] = MCT.format('labels ')
    tiny = MCT.format('par_maps labels classifier ')
    STAGES[f'mctformer-{version}_deit-tiny_emblems'] = f'data cam cam_maps {tiny}'
STAGES['vit-pcm_vit-tiny_emblems'] = 'data cam vit_pcm vit_pcm_maps par_maps masks'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Data sets of a few images, and a file in the place of weights that have no address."""
    root = tmp_path_factory.mktemp('pipelines')
    make_voc(root / 'data')
    make_coco(root / 'data')
    make_emblems(root / 'data/emblems', EmblemsSettings(num_train=4, num_val=2, size=32))
    photographs = root / 'data/photographs'
    for name, index in dict(a=1, b=2).items():
        save_image(photographs / f'images/{name}.jpg', make_image([index], (32, 32), index)[0])
    save_text(photographs / 'labels.csv', 'image,labels\na.jpg,cat\nb.jpg,dog\n')
    save_text(photographs / 'photographs.txt', 'a\nb\n')
    save_text(root / f'torch/hub/checkpoints/{TABLE["resnet38d"].file}', 'weights')
    return root


@pytest.fixture
def pipeline(folder, tmp_path, monkeypatch):
    """Return a function that makes a pipeline, in the folder where its data are."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv('TORCH_HOME', str(folder / 'torch'))

    def pipeline(name='seam_r38_voc', options=None, **kwargs):
        cfg = read_pipeline(str(CONFIGS / f'{name}.py'), options)
        return Pipeline(cfg, tmp_path / 'work', ROOT / 'tools', **kwargs)

    return pipeline


def words_of(pipeline, stage):
    return [command.words for command in pipeline.stages[stage].commands()]


def settings_of(pipeline, stage):
    """Return the settings that each command of a stage starts its tool with, by dotted key."""
    return [flat_options(command.config.to_dict()) for command in pipeline.stages[stage].commands()]


def finish(pipeline):
    """Write the manifests that a run of all stages would write."""
    records = {}
    for step in make_plan(pipeline):
        inputs = {
            name: {key: records[name][key] for key in ('digest', 'run')}
            for name in step.stage.inputs()
        }
        record = new_record(step.digest, step.settings, inputs)
        records[step.stage.name] = record
        folder = pipeline.folder(step.stage.name)
        if step.stage.makes == 'checkpoint':
            path = step.stage.checkpoint()
            save_text(path, '')
            record['checkpoint'] = path.name
        content = dict(record, files={}, figures={}, evaluated={}, finished='now')
        write_json(folder / MANIFEST, content)


def states(pipeline):
    pipeline.check()
    return {step.stage.name: (step.state, step.why) for step in make_plan(pipeline)}


def changed(pipeline):
    return {name: why for name, (state, why) in states(pipeline).items() if state == 'changed'}


# what there is


def test_pipelines_are_found():
    assert set(NAMES) >= set(STAGES)


@pytest.mark.parametrize('name', NAMES)
def test_pipeline_can_work(pipeline, name):
    found = pipeline(name)
    found.check()
    assert ' '.join(found.stages) == STAGES.get(name, ' '.join(found.stages))
    assert {state for state, _ in states(found).values()} == {'missing'}


@pytest.mark.parametrize('name', NAMES)
def test_tools_understand_their_commands(pipeline, name):
    found = pipeline(name)
    for stage in found.stages.values():
        for command in stage.commands():
            tool = load_file(ROOT / 'tools' / command.tool)
            front = dict(ranks=['--launcher', 'pytorch'], nodes=['--share', '0', '2'], once=[])[
                command.spread
            ]
            tool.make_parser().parse_args([*front, *command.words])


@pytest.mark.parametrize('name', NAMES)
def test_plan_shows_every_command(pipeline, name, capsys):
    found = pipeline(name)
    show_plan(found)
    shown = capsys.readouterr().out
    for stage in found.stages.values():
        for command in stage.commands():
            assert shlex.join(command.words) in shown


@pytest.mark.parametrize('name', SEAM)
def test_images_are_counted(pipeline, name):
    found = pipeline(name)
    expected = dict(seam_maps=6, walks=None, test=2)
    for stage in expected:
        assert found.stages[stage].progress()[1] == (expected[stage] or 6)


# the commands


def test_published_settings(pipeline):
    found = pipeline()
    (labels,) = words_of(found, 'labels')
    masks, _ = words_of(found, 'masks')
    (test,) = words_of(found, 'test')
    assert labels[labels.index('--style') + 1] == 'psa'
    assert masks[masks.index('--bg-score') + 1] == '0.5'
    assert '--crf' not in masks
    assert '--tta' in test
    assert [words[words.index('--split') + 1] for words in words_of(found, 'seam_maps')] == [
        'train_aug',
        'val',
    ]


def test_images_of_coco_lie_in_two_folders(pipeline):
    found = settings_of(pipeline('seam_r38_coco'), 'seam_maps')
    key = 'test_dataloader.dataset.data_prefix.img_path'
    assert [settings[key] for settings in found] == ['train2014', 'val2014']


def test_model_that_is_pretrained_by_a_stage(pipeline, tmp_path):
    (settings,) = settings_of(pipeline('seam_r38-tiny_emblems', seed=3), 'seam')
    expected = {
        'model.backbone.init_cfg.checkpoint': str(tmp_path / 'work/cam/iter_1000.pth'),
        'randomness.seed': 3,
    }
    assert expected.items() <= settings.items()


def test_afa_is_tested_by_all_its_outputs(pipeline, tmp_path):
    found = pipeline('afa_mit-tiny_emblems')
    (settings,) = settings_of(found, 'afa')
    key = 'model.backbone.init_cfg.checkpoint'
    assert settings[key] == str(tmp_path / 'work/cam/iter_1000.pth')
    outputs = {}
    for stage in ('cams', 'affinity_cams', 'test', 'test_crf'):
        (words,) = words_of(found, stage)
        assert ('--tta' in words) == stage.startswith('test')
        (settings,) = settings_of(found, stage)
        outputs[stage] = settings.get('model.test_cfg.output')
    assert (outputs['cams'], outputs['affinity_cams']) == ('cam', 'affinity_cam')
    assert outputs['test'] == outputs['test_crf'] != 'cam'
    assert settings['model.test_cfg.crf.bilateral.sxy'] == 64


def test_masks_that_a_model_predicts_are_learnt(pipeline, tmp_path):
    found = pipeline('vit-pcm_vit-b_voc')
    (segmentation,) = settings_of(found, 'segmentation')
    masks = segmentation['train_dataloader.dataset.data_prefix.seg_map_path']
    assert masks == str(tmp_path / 'work/masks/train')
    plain, refined = settings_of(found, 'baseline_masks')[0], settings_of(found, 'masks')[0]
    assert not any(key.startswith('model.test_cfg.crf.') for key in plain)
    crf = {'type': 'DenseCRF', 'gaussian.sxy': 1, 'gaussian.weight': 3, 'num_iters': 10}
    crf |= {'bilateral.sxy': 67, 'bilateral.srgb': 3, 'bilateral.weight': 4}
    assert {f'model.test_cfg.crf.{k}': v for k, v in crf.items()}.items() <= refined.items()
    words = words_of(found, 'masks')[0]
    assert words[words.index('--split') + 1] == 'train_aug'


def test_images_of_coco_lie_in_two_folders_for_a_test_too(pipeline):
    found = settings_of(pipeline('apc_vit-b_coco'), 'cams')
    keys = 'test_dataloader.dataset.data_prefix.img_path', 'model.test_cfg.output'
    shown = [tuple(settings[key] for key in keys) for settings in found]
    assert shown == [('train2014', 'cam'), ('val2014', 'cam')]


def test_weights_of_a_stage_in_a_config_that_has_none(pipeline, tmp_path):
    found = pipeline(options={'stages.segmentation.pretrained': 'seam'})
    (settings,) = settings_of(found, 'segmentation')
    key = 'model.backbone.init_cfg'
    expected = {
        f'{key}.checkpoint': str(tmp_path / 'work/seam/iter_10576.pth'),
        f'{key}.prefix': 'backbone.',
    }
    assert expected.items() <= settings.items()


@pytest.mark.parametrize(
    ('name', 'iterations'), [('semformer_deit-s_voc', 33000), ('semformer_deit-tiny_emblems', 600)]
)
def test_checkpoint_of_a_stage_reaches_the_entry_that_names_it(
    pipeline, tmp_path, name, iterations
):
    found = pipeline(name)
    (settings,) = settings_of(found, 'semformer')
    key = 'model.caae.init_cfg.checkpoint'
    assert settings[key] == str(tmp_path / f'work/caae/iter_{iterations}.pth')
    assert 'caae' in found.stages['semformer'].inputs()


def test_another_auto_encoder_makes_what_it_guides_run_again(pipeline):
    name = 'semformer_deit-tiny_emblems'
    finish(pipeline(name))
    assert changed(pipeline(name)) == {}
    why = changed(pipeline(name, {'stages.caae.options': {'model.loss_similarity.loss_weight': 2}}))
    assert 'cam' not in why and 'classifier' not in why
    assert why['caae'] == 'model.loss_similarity.loss_weight was 1.0, is 2'
    assert why['semformer'] == 'caae ran again'


def test_labels_and_masks_reach_the_configs(pipeline, tmp_path):
    found = pipeline()
    (affinity,), (segmentation,) = (
        settings_of(found, name) for name in ('affinity', 'segmentation')
    )
    label_dir = affinity['train_dataloader.dataset.pipeline'][1]['label_dir']
    assert label_dir == str(tmp_path / 'work/labels/train')
    masks = segmentation['train_dataloader.dataset.data_prefix.seg_map_path']
    assert masks == str(tmp_path / 'work/masks/train')


def test_another_data_root_reaches_every_data_set(pipeline, folder):
    root = folder / 'data/VOCdevkit/VOC2012'
    found = pipeline(options=dict(data_root=str(root)))
    found.check()
    assert found.splits['train'].names == str(root / 'ImageSets/Segmentation/train.txt')
    (train,) = settings_of(found, 'segmentation')
    assert train['train_dataloader.dataset.dataset.data_root'] == str(root)
    (test,) = settings_of(found, 'test')
    assert test['test_dataloader.dataset.data_root'] == str(root)


def test_options_of_a_training_are_those_of_its_model(pipeline):
    options = {'model.test_cfg.bg_score': 0.3, 'train_cfg.max_iters': 7}
    found = pipeline(options={f'stages.seam.options.{k}': v for k, v in options.items()})
    (train,) = settings_of(found, 'seam')
    assert options.items() <= train.items()
    maps, _ = settings_of(found, 'seam_maps')
    assert maps['model.test_cfg.bg_score'] == 0.3
    # what means nothing to a model stays as it was
    assert maps['train_cfg.max_iters'] == 10576
    assert words_of(found, 'seam_maps')[0][1].endswith('seam/iter_7.pth')


def test_length_of_a_training_moves_its_schedule(pipeline):
    iters, ends = 'stages.seam.options.train_cfg.max_iters', 'param_scheduler.0.end'
    (moved,) = settings_of(pipeline(options={iters: 5288}), 'seam')
    assert moved['param_scheduler'][0]['end'] == 5289
    assert moved['default_hooks.checkpoint.interval'] == 1000
    found = pipeline(options={iters: 5288, f'stages.seam.options.{ends}': 99})
    assert settings_of(found, 'seam')[0]['param_scheduler'][0]['end'] == 99
    assert settings_of(pipeline(), 'seam')[0]['param_scheduler'][0]['end'] == 10577


@pytest.mark.parametrize('iters', [0, 'many', 2.5])
def test_length_that_is_none(pipeline, iters):
    found = pipeline(options={'stages.seam.options.train_cfg.max_iters': iters})
    with pytest.raises(UsageError, match=f'seam: train_cfg.max_iters must be .* got {iters!r}'):
        found.check()


def test_batch_is_shared_by_the_processes(pipeline):
    (settings,) = settings_of(pipeline(processes=2), 'seam')
    assert settings['train_dataloader.batch_size'] == 4


@pytest.mark.parametrize(
    ('stage', 'processes', 'shares', 'amount'),
    [
        ('seam', 4, (4, 2), '10,576 iterations'),
        ('seam', 3, (2, 4), '10,576 iterations of 8 images, on 2 of 3 processes'),
        ('segmentation', 4, (2, 5), '20,000 iterations of 10 images, on 2 of 4 processes'),
        ('segmentation', 8, (5, 2), '20,000 iterations of 10 images, on 5 of 8 processes'),
        ('segmentation', 16, (10, 1), '20,000 iterations of 10 images, on 10 of 16 processes'),
    ],
)
def test_batch_that_not_all_processes_can_share(pipeline, stage, processes, shares, amount):
    made = pipeline(processes=processes)
    found = made.stages[stage]
    assert found.amount() == amount
    (command,) = found.commands()
    assert command.processes == shares[0]
    assert command.config.train_dataloader.batch_size == shares[1]


# what a change concerns


def test_nothing_runs_again_without_a_change(pipeline):
    finish(pipeline())
    found = states(pipeline(workers=5, processes=2))
    assert set(found.values()) == {('finished', '')}


@pytest.mark.parametrize(
    ('options', 'why'),
    [
        (
            {'stages.walks.options.walk.beta': 4},
            dict(walks='walk.beta was 8, is 4', masks='walks', segmentation='masks', test='segmen'),
        ),
        (
            {'stages.segmentation.options.model.test_cfg.crf': None},
            dict(test='model.test_cfg.crf is now None'),
        ),
        (
            {'stages.masks.bg_score': 0.4},
            dict(masks='background was [0.5], is [0.4]', segmentation='masks', test='segment'),
        ),
        ({'stages.test.tta': False}, dict(test='tta was True, is False')),
        (
            {'stages.segmentation.options.train_cfg.max_iters': 9},
            dict(
                segmentation='param_scheduler.0.end was 20001, is 10, train_cfg.max_iters was 2',
                test='segmentation',
            ),
        ),
        ({'stages.seam.options.train_dataloader.num_workers': 9}, {}),
        ({'stages.seam.options.default_hooks.checkpoint.interval': 9}, {}),
        ({'splits.val.names': None}, {}),
    ],
)
def test_what_a_change_concerns(pipeline, options, why):
    finish(pipeline())
    found = changed(pipeline(options=options))
    assert found.keys() == why.keys()
    for name, text in why.items():
        assert found[name].startswith(text)


def test_another_seed_concerns_everything(pipeline):
    finish(pipeline())
    found = changed(pipeline(seed=1))
    assert found.pop('seam') == 'seed was 0, is 1'
    assert len(found) == 7


def test_other_tags_concern_everything(pipeline, folder, tmp_path, monkeypatch):
    root = make_voc(tmp_path / 'other/data').parent.parent.parent
    found = pipeline()
    monkeypatch.chdir(root)
    finish(found)
    path = root / 'data/VOCdevkit/VOC2012/Annotations/2007_000000.xml'
    path.write_text(path.read_text().replace('dog', 'cat'))
    why = changed(read_again(tmp_path))
    assert why['seam'] == 'the images or tags of train have changed'
    assert len(why) == 8


def read_again(tmp_path):
    cfg = read_pipeline(str(CONFIGS / 'seam_r38_voc.py'))
    return Pipeline(cfg, tmp_path / 'work', ROOT / 'tools')


def test_other_weights_concern_everything(pipeline, folder):
    path = folder / 'own.pth'
    path.write_text('weights')
    options = {'stages.seam.options': {'model.backbone.init_cfg.checkpoint': str(path)}}
    finish(pipeline(options=options))
    path.write_text('others')
    why = changed(pipeline(options=options))
    assert why['seam'] == 'the file of model.backbone.init_cfg.checkpoint has changed'


def test_checkpoint_that_is_gone_is_trained_again(pipeline, tmp_path):
    finish(pipeline())
    (tmp_path / 'work/affinity/iter_10576.pth').unlink()
    why = changed(pipeline())
    assert why['affinity'] == 'iter_10576.pth is missing'
    assert why['walks'] == 'affinity ran again'


# what cannot be


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'stages.seam.config': 'configs/x.py'}, 'stage seam: there is no config configs/x.py'),
        ({'stages.seam.pretrained': 'masks'}, r"pretrained='masks' comes later: name one of"),
        (
            {'stages.test.model': 'masks'},
            "model='masks' is a stage MakePseudoMasks where",
        ),
        (
            {'stages.walks.model': 'seam'},
            'stage walks: the config .*seam_r38_voc.py of seam has',
        ),
        ({'stages.labels.splits': ['val']}, "labels makes nothing of split 'train', which a model"),
        (
            {'stages.seam_maps.splits': ['train']},
            "stage walks: seam_maps makes nothing of split 'val': add it to the splits of",
        ),
        ({'stages.seam.labels': 'labels'}, "labels='labels' comes later"),
        (
            {'stages.segmentation.labels': 'labels'},
            'stage segmentation: .*has no LoadAffinityScores or LoadAffinityLabel that takes the',
        ),
        (
            {'stages.masks.bg_alpha': 2},
            'stage masks: give one of bg_score, bg_alpha, ignore, not',
        ),
        ({'stages.masks.bg_score': 2}, 'stage masks: bg_score must lie in 0 to 1, got 2'),
        ({'stages.masks.crf': 'x'}, "stage masks: crf must be one of labels, probs, got 'x'"),
        (
            {'stages.affinity.weights': {'model.guide.checkpoint': 'seam'}},
            r'stage affinity: .*affinitynet_r38_voc\.py has no model\.guide\.checkpoint that takes',
        ),
        (
            {'stages.affinity.weights': {'model.backbone.init_cfg.checkpoint': 'labels'}},
            "model.backbone.init_cfg.checkpoint='labels' is a stage MakeAffinityLabels where",
        ),
        ({'stages.masks.crf_config': dict(x=1)}, 'stage masks: crf_config has no x'),
        ({'stages.labels.style': 'x'}, "stage labels: style must be one of psa, irn, got 'x'"),
        ({'stages.labels.background': [1]}, r'stage labels: background must be two numbers'),
        ({'stages.seam_maps.dtype': 'x'}, 'stage seam_maps: dtype must be one of float16, float32'),
        (
            {'stages.seam.options.model.backbone.type.x': 3},
            'stage seam: --cfg-options model.backbone.type.x does not fit',
        ),
        (
            {'splits.train.split': 'x'},
            "stage seam_maps, split train: .*'x' is nowhere in data/VOCdevkit/VOC2012",
        ),
        ({'splits.val.images': 'x'}, r'splits\.val\.images: there is no folder x'),
        (
            {'stages.seam.options.model.backbone.init_cfg.checkpoint': 'x.pth'},
            r'the weights x\.pth with which the model begins cannot be read \(No such file',
        ),
        (
            {'stages.seam.options.train_dataloader.batch_size': 0},
            'stage seam: train_dataloader.batch_size must be a whole number of at least 1, got 0',
        ),
        (
            {'stages.seam.options.train_dataloader.batch_size': 'x'},
            "stage seam: train_dataloader.batch_size must be a whole number of at least 1, got 'x'",
        ),
        (
            {'stages.seam.options.train_dataloader.dataset.data_root': 'x'},
            'stage seam: .* there is no folder x: put PASCAL VOC',
        ),
    ],
)
def test_settings_that_cannot_be(pipeline, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        pipeline(options=options).check()
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'stages.seam.config.y': 1}, 'stages.seam.config.y does not'),
        ({'stages.seem.title': 'x'}, "seam_r38_voc.py has no stage 'seem'"),
    ],
)
def test_options_that_do_not_fit(pipeline, options, message):
    with pytest.raises(UsageError, match=message):
        pipeline(options=options)


def test_data_root_of_a_pipeline_without_one(tmp_path):
    path = save_text(tmp_path / 'bare.py', '"""Bare."""\nclasses = 1\n')
    with pytest.raises(UsageError, match=r'--cfg-options data_root: .*bare\.py has no data_root'):
        read_pipeline(str(path), dict(data_root='x'))


def test_settings_of_emblems_that_cannot_be(pipeline):
    with pytest.raises(UsageError, match='stage data: EmblemsSettings: size must lie in 32'):
        pipeline('seam_r38-tiny_emblems', {'stages.data.settings': dict(size=1)})
    with pytest.raises(UsageError, match='stage data: settings .*unexpected keyword argument'):
        pipeline('seam_r38-tiny_emblems', {'stages.data.settings': dict(sizes=1)})


# a training that was stopped


@pytest.fixture
def stopped(pipeline, tmp_path):
    """Return a pipeline whose first training has two checkpoints, and its folder."""
    found = pipeline()
    for number in (2000, 4000):
        save_text(tmp_path / f'work/seam/iter_{number}.pth', '')
    return found, tmp_path / 'work/seam'


@pytest.mark.parametrize(
    ('note', 'expected'),
    [
        ('{folder}/iter_4000.pth', '{folder}/iter_4000.pth'),
        ('elsewhere/seam/iter_2000.pth', '{folder}/iter_2000.pth'),
        ('', '{folder}/iter_4000.pth'),
        ('{folder}/iter_6000.pth', None),
    ],
)
def test_note_of_the_latest_checkpoint_is_set_right(stopped, note, expected):
    found, folder = stopped
    path = save_text(folder / 'last_checkpoint', note.format(folder=folder))
    found.stages['seam'].prepare()
    text = path.read_text() if path.exists() else None
    assert text == (expected and expected.format(folder=folder))


def test_progress_of_a_training(stopped):
    found, folder = stopped
    seam = found.stages['seam']
    assert seam.progress() == (0, 10576)
    first = '{"loss": 1.0, "iter": 50, "step": 50}\n{"loss": 1.0, "iter": 100, "step": 100}\n'
    save_text(
        folder / '20260101_000000/vis_data/scalars.json', first + '{"mIoU": 3, "step": 7}\n{"lo'
    )
    assert seam.progress() == (100, 10576)
    # one that went on and has logged nothing yet, and then something
    second = save_text(folder / '20260102_000000/vis_data/scalars.json', '')
    assert seam.progress()[0] == 100
    second.write_text('{"loss": 1.0, "step": 150}\n')
    assert seam.progress()[0] == 150


# the configs that tools start with


def test_any_value_reaches_the_tool(pipeline, tmp_path):
    values = {'a': "it's a, b", 'b': ('x', [1.5, None]), 'c': {'d e': -1}}
    options = {'stages.seam.options': {'model.test_cfg.own': values}}
    (command,) = pipeline(options=options).stages['seam'].commands()
    path = tmp_path / 'written/seam.py'
    write_config(command.config, path)
    found = Config.fromfile(path)
    assert found.model.test_cfg.own.to_dict() == values
    assert isinstance(found.model.test_cfg.own.b, tuple)
    expected = command.config.to_dict()
    assert found.to_dict() == {
        k: v for k, v in expected.items() if k not in ('work_dir', 'launcher')
    }


def test_tools_are_not_given_options_of_their_config(pipeline):
    found = pipeline(options={'stages.seam.options.train_cfg.max_iters': 7})
    words = [w for stage in found.stages.values() for c in stage.commands() for w in c.words]
    assert '--cfg-options' not in words
