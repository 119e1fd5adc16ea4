"""Model, weights and data that do not fit each other are refused before they are used."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmwsss.cli.fitting import check_classes, check_weights
from mmwsss.errors import UsageError


def runner(number):
    model = nn.Linear(1, 1)
    model.num_classes = number
    return SimpleNamespace(model=model)


def loop(classes):
    dataset = SimpleNamespace(metainfo=dict(classes=classes))
    return SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))


@pytest.mark.parametrize(('number', 'classes'), [(2, ('a', 'b')), (None, ('a',)), (2, None)])
def test_what_fits_or_says_nothing(number, classes):
    check_classes(runner(number), loop(classes), 'test_dataloader')


def test_another_number_of_classes_is_refused():
    with pytest.raises(UsageError, match=r'num_classes=7, the data set of train_dataloader 2 '):
        check_classes(runner(7), loop(('a', 'b')), 'train_dataloader')


@pytest.mark.parametrize('weights', [{}, {'weight': torch.zeros(2, 2), 'bias': torch.zeros(1)}])
def test_weights_of_another_model_are_refused(weights):
    with pytest.raises(UsageError, match=r'a\.pth lacks \d of the weights .*weight'):
        check_weights(nn.Linear(1, 1), weights, 'a.pth')
