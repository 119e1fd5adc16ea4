"""Colours against those of PIL, which torchvision's ColorJitter uses."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mmwsss.datasets import BlurImage, JitterColor, JitterHSV, SolarizeImage
from mmwsss.datasets.transforms import photometric


@pytest.fixture
def picture():
    """Random RGB picture with all levels."""
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def difference(ours_bgr, expected_rgb):
    return np.abs(ours_bgr[..., ::-1].astype(int) - np.asarray(expected_rgb).astype(int))


@pytest.mark.parametrize('factor', [0.0, 0.7, 1.0, 1.3, 2.5])
@pytest.mark.parametrize(
    'name, enhancer',
    [
        ('brightness', ImageEnhance.Brightness),
        ('contrast', ImageEnhance.Contrast),
        ('saturation', ImageEnhance.Color),
    ],
)
def test_levels_are_those_of_pil(picture, name, enhancer, factor):
    expected = enhancer(Image.fromarray(picture)).enhance(factor)
    ours = getattr(photometric, f'adjust_{name}')(np.ascontiguousarray(picture[..., ::-1]), factor)
    assert difference(ours, expected).max() <= 2


@pytest.mark.parametrize('shift', [-0.5, -0.1, 0.0, 0.1, 0.5])
def test_hue_is_turned_as_pil_does_it(picture, shift):
    hue, saturation, value = Image.fromarray(picture).convert('HSV').split()
    turned = (np.asarray(hue).astype(int) + int(shift * 255)) % 256
    expected = Image.merge('HSV', (Image.fromarray(turned.astype(np.uint8)), saturation, value))
    ours = photometric.adjust_hue(np.ascontiguousarray(picture[..., ::-1]), shift)
    apart = difference(ours, expected.convert('RGB'))
    # both round hue and saturation to 8 bits, in different ways
    assert apart.mean() < 1.5 and apart.max() <= 14


def test_a_third_of_the_circle_exchanges_the_channels():
    red_bgr = np.zeros((1, 1, 3), np.uint8)
    red_bgr[..., 2] = 240
    blue, green, red = photometric.adjust_hue(red_bgr, 1 / 3)[0, 0]
    assert green == 240 and blue <= 4 and red <= 4


def test_grey_stays_grey():
    grey = np.full((2, 2, 3), 77, np.uint8)
    changed = JitterColor(0.3, 0.3, saturation=0.3, hue=0.1)({'img': grey})['img']
    assert (changed == changed[..., :1]).all()


def drawn_factors(monkeypatch, transform, rounds=300):
    calls = []
    for name in ('brightness', 'contrast', 'saturation', 'hue'):

        def record(image, factor, name=name):
            calls.append((name, factor))
            return image

        monkeypatch.setattr(photometric, f'adjust_{name}', record)
    for _ in range(rounds):
        transform({'img': np.zeros((1, 1, 3), np.uint8)})
    return calls


def test_ranges_and_order_of_colorjitter(monkeypatch):
    calls = drawn_factors(monkeypatch, JitterColor(0.3, 1.5, saturation=0.2, hue=0.1))
    limits = {
        'brightness': (0.7, 1.3),
        'contrast': (0.0, 2.5),
        'saturation': (0.8, 1.2),
        'hue': (-0.1, 0.1),
    }
    for name, (low, high) in limits.items():
        factors = [factor for called, factor in calls if called == name]
        assert len(factors) == 300
        width = high - low
        assert low <= min(factors) < low + 0.1 * width < high - 0.1 * width < max(factors) <= high
    orders = {tuple(name for name, _ in calls[i : i + 4]) for i in range(0, len(calls), 4)}
    assert len(orders) == 24


def test_what_is_zero_is_left_alone(monkeypatch):
    calls = drawn_factors(monkeypatch, JitterColor(contrast=0.3), rounds=3)
    assert [name for name, _ in calls] == ['contrast'] * 3


def test_a_pair_names_the_ends(monkeypatch):
    calls = drawn_factors(monkeypatch, JitterColor((1.2, 1.2), (0.5, 2.0)))
    assert {factor for name, factor in calls if name == 'brightness'} == {1.2}
    factors = [factor for name, factor in calls if name == 'contrast']
    assert 0.5 <= min(factors) < 0.6 < 1.9 < max(factors) <= 2.0


def test_colours_are_taken_away_at_times(picture):
    seen = [JitterColor(gray_prob=0.3)({'img': picture.copy()})['img'] for _ in range(200)]
    gray = [bool((image == image[..., :1]).all()) for image in seen]
    assert 30 < sum(gray) < 90
    plain = next(image for image, is_gray in zip(seen, gray, strict=True) if not is_gray)
    assert np.array_equal(plain, picture)


@pytest.mark.parametrize('pair', [(2.0, 0.5), (-0.1, 1.0), (1.0,)])
def test_wrong_pairs_are_named(pair):
    with pytest.raises(ValueError, match='contrast must be a smallest and a largest factor'):
        JitterColor(contrast=pair)


def test_wrong_probability_is_named():
    with pytest.raises(ValueError, match='gray_prob must be 0 to 1, got 1.5'):
        JitterColor(gray_prob=1.5)


@pytest.mark.parametrize('name, value', [('brightness', -0.1), ('hue', 0.6), ('contrast', -1)])
def test_wrong_ranges_are_named(name, value):
    with pytest.raises(ValueError, match=f'JitterColor: {name} must be .*0.*, got {value}'):
        JitterColor(**{name: value})


def test_shows_itself():
    transform = JitterColor(0.3, (0.5, 2.0), hue=0.1, gray_prob=0.1)
    assert eval(repr(transform)).ranges == transform.ranges
    assert eval(repr(transform)).gray_prob == 0.1
    assert eval(repr(JitterHSV(7))).delta == 7


def to_hsv(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[0, 0].tolist()


def jittered(monkeypatch, hsv, shifts):
    monkeypatch.setattr(np.random, 'randint', lambda low, high, size: np.array(shifts))
    image = cv2.cvtColor(np.array([[hsv]], np.uint8), cv2.COLOR_HSV2BGR)
    return to_hsv(JitterHSV(10)({'img': image})['img'])


@pytest.mark.parametrize(
    ('hsv', 'shifts', 'expected'),
    [
        ((60, 255, 200), (10, -10, 5), (70, 245, 205)),
        ((0, 255, 255), (-10, 10, 10), (170, 255, 255)),  # hue goes round, the rest stops
        ((170, 255, 255), (10, 0, 0), (0, 255, 255)),
        ((60, 0, 3), (3, 0, -10), (0, 0, 0)),  # what is black has no hue
    ],
)
def test_hsv_is_shifted(monkeypatch, hsv, shifts, expected):
    got = jittered(monkeypatch, hsv, shifts)
    assert np.abs(np.subtract(got, expected)).max() <= 1


def test_hsv_shifts_are_drawn_from_both_sides(monkeypatch):
    grey = np.full((1, 1, 3), 128, np.uint8)
    values = [to_hsv(JitterHSV(3)({'img': grey})['img'])[2] - 128 for _ in range(200)]
    assert set(values) == set(range(-3, 4))
    assert grey.max() == 128  # the picture that came in is left alone


@pytest.mark.parametrize('delta', [0, 91])
def test_wrong_delta_is_named(delta):
    with pytest.raises(ValueError, match=f'JitterHSV: delta must be 1 to 90, got {delta}'):
        JitterHSV(delta)


def test_blur_draws_its_radius(monkeypatch, picture):
    seen = []
    monkeypatch.setattr(np.random, 'uniform', lambda *ends: seen.append(ends) or ends[1])
    blurred = BlurImage()(dict(img=picture))['img']
    assert seen == [(0.1, 2.0)]
    assert blurred.shape == picture.shape and blurred.std() < picture.std()
    assert repr(BlurImage()) == 'BlurImage(min_radius=0.1, max_radius=2.0)'


def test_wrong_radius_and_threshold_are_named():
    with pytest.raises(ValueError, match='min_radius <= max_radius, got 2 and 1'):
        BlurImage(2, 1)
    with pytest.raises(ValueError, match='threshold must be 0 to 255, got 256'):
        SolarizeImage(256)
    assert repr(SolarizeImage()) == 'SolarizeImage(threshold=128)'
