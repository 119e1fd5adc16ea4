"""Errors of users' files: which are a sentence, and which need their traceback."""

import pickle

import pytest
from torch.utils.data import DataLoader

from mmwsss.datasets import ImageFileError, LabelFileError, MaskError
from mmwsss.datasets.affinity_files import AffinityFileError
from mmwsss.evaluation.cam_files import CAMFileError
from mmwsss.utils import problem_sentence

SENTENCE = 'a.jpg is truncated: fetch it again.'
KINDS = [
    AffinityFileError,
    CAMFileError,
    FileNotFoundError,
    ImageFileError,
    LabelFileError,
    MaskError,
]


class Failing:
    """A data set whose first image cannot be read."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


@pytest.mark.parametrize('kind', KINDS)
def test_errors_of_files_are_their_sentence(kind):
    assert problem_sentence(kind(SENTENCE)) == SENTENCE


def test_the_parts_of_an_error_come_out_of_another_process():
    error = LabelFileError('is odd', 'a.csv, line 2', details='why', advice='mend it.', kind='odd')
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == 'a.csv, line 2: is odd; why: mend it.'
    assert vars(copy) == vars(error)
    assert (copy.problem, copy.kind) == ('a.csv, line 2: is odd', 'odd')


@pytest.mark.parametrize('kind', [FileNotFoundError, ImageFileError])
def test_the_sentence_comes_out_of_a_loader_process(kind):
    with pytest.raises(kind) as info:
        next(iter(DataLoader(Failing(kind(SENTENCE)), num_workers=1)))
    assert problem_sentence(info.value) == SENTENCE


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('error', [ValueError('x'), FileNotFoundError(2, 'No such file', 'a')])
def test_other_errors_are_none(error, workers):
    with pytest.raises(type(error)) as info:
        next(iter(DataLoader(Failing(error), num_workers=workers)))
    assert problem_sentence(info.value) is None
