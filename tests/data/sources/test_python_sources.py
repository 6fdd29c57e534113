"""Images that are given in Python: in arrays, in data sets, and several of them joined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from vtsearch.data.sources.array_images import ArrayImages
from vtsearch.data.sources.dataset_images import DatasetImages
from vtsearch.data.sources.image_source import ImageSource, PixelSource, SummedSource
from vtsearch.data.sources.joined_images import joined

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def items(pixels=PIXELS, labels=LABELS):
    return list(zip(pixels, labels, strict=True))


def loaded(source, position):
    return np.asarray(source.load(position))


def test_arrays_are_a_source_of_pixels():
    source = ArrayImages(PIXELS, LABELS)
    assert isinstance(source, ImageSource)
    assert isinstance(source, PixelSource)
    assert (len(source), source.classes, source.id(3)) == (6, ("0", "1", "2"), "3")
    assert source.labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(source.pixels(np.array([4, 1])), PIXELS[[4, 1]].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(loaded(source, 2), PIXELS[2])


@pytest.mark.parametrize(
    ("images", "labels", "kind", "message"),
    [
        (PIXELS / 255, LABELS, TypeError, "data: images: expected uint8 pixels, 0 to 255, got float64"),
        (PIXELS[..., 0], LABELS, ValueError, r"data: images: expected shape \(n, h, w, 3\), got \(6, 4, 5\)"),
        (PIXELS[:0], LABELS[:0], ValueError, r"data: images: expected shape \(n, h, w, 3\), got \(0, 4, 5, 3\)"),
        (PIXELS, LABELS[:5], ValueError, "data: labels: expected 6 rows, one for each of the images, got 5"),
        (PIXELS, LABELS / 2, TypeError, "data: labels: expected int"),
        (PIXELS, LABELS - 1, ValueError, "data: labels: expected class numbers from 0, got -1"),
        (PIXELS, np.full((6, 2), 2), ValueError, "data: labels: expected 0 and 1"),
    ],
)
def test_arrays_of_another_kind_are_refused(images, labels, kind, message):
    with pytest.raises(kind, match=message):
        ArrayImages(images, labels)


def test_the_forms_of_an_image_in_a_data_set_give_the_same_pixels():
    forms = [PIXELS[0], Image.fromarray(PIXELS[0]), torch.from_numpy(PIXELS[0]).permute(2, 0, 1)]
    source = DatasetImages([(form, number) for number, form in enumerate(forms)])
    assert isinstance(source, ImageSource)
    for position in range(3):
        np.testing.assert_array_equal(loaded(source, position), PIXELS[0])
    assert len(set(source.sums(np.arange(3)).tolist())) == 1


def test_a_pillow_image_is_read_upright():
    image = Image.fromarray(PIXELS[0])
    image.getexif()[0x0112] = 6
    assert DatasetImages([(image, 0), (image, 1)]).load(0).size == (4, 5)


def test_a_data_set_of_torch_has_its_labels_and_the_names_of_its_classes():
    data = TensorDataset(torch.from_numpy(PIXELS).permute(0, 3, 1, 2), torch.from_numpy(LABELS))
    assert DatasetImages(data).classes == ("0", "1", "2")
    data.classes = ["cat", "dog", "owl", "yak"]
    source = DatasetImages(data)
    assert source.classes == ("cat", "dog", "owl", "yak")
    assert source.labels.tolist() == LABELS.tolist()


def test_a_data_set_may_have_several_labels():
    source = DatasetImages([(image, [0.0, 1.0, 1.0]) for image in PIXELS])
    assert (source.labels.shape, source.labels.dtype, source.classes) == ((6, 3), np.uint8, ("0", "1", "2"))


def test_other_pixels_have_other_sums():
    changed = PIXELS.copy()
    changed[4, 0, 0, 0] ^= 1
    here, there = (DatasetImages(items(pixels)).sums(np.arange(6)) for pixels in (PIXELS, changed))
    assert np.flatnonzero(here != there).tolist() == [4]


class Changing:
    """A data set with random transforms."""

    def __len__(self):
        return 2

    def __getitem__(self, position):
        return np.random.default_rng().integers(0, 256, (4, 4, 3), dtype=np.uint8), position


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ([], ValueError, "data: expected at least one image, got none"),
        ([PIXELS[0]], TypeError, r"data\[0\]: expected an image and a label, got ndarray of uint8"),
        ([(PIXELS[0] / 255, 0)], TypeError, r"data\[0\]: expected a Pillow image, .*, got ndarray of float64"),
        ([("cat.png", 0)], TypeError, r"data\[0\]: expected a Pillow image, .*, got str"),
        ([(torch.zeros(3, 4, 4), 0)], TypeError, r"data\[0\]: expected a Pillow image, .* got Tensor of torch.float32"),
        ([(PIXELS[0, 0], 0)], ValueError, r"data\[0\]: expected a Pillow image, .*, got shape \(5, 3\)"),
        ([(PIXELS[0], "cat")], TypeError, r"data\[0\]: expected an int, or 0 and 1 for each class, as label, got str"),
        ([(PIXELS[0], 0.5)], TypeError, r"data\[0\]: expected an int, .* as label, got float"),
        ([(PIXELS[0], -1)], ValueError, "data: labels: expected class numbers from 0, got -1"),
        ([(PIXELS[0], 0), (PIXELS[1], [0, 1])], ValueError, r"data: expected labels of one form, .* \[\(\), \(2,\)\]"),
        (Changing(), ValueError, "data: expected the same image each time that it is read, got another at 0"),
    ],
)
def test_items_of_another_kind_are_refused_by_their_place(data, kind, message):
    with pytest.raises(kind, match=message):
        DatasetImages(data)


def test_arrays_of_one_size_are_joined_as_pixels():
    parts = {"data": ArrayImages(PIXELS, LABELS), "queries": ArrayImages(PIXELS[::-1], LABELS + 1)}
    source = joined(parts)
    assert isinstance(source, PixelSource)
    assert not isinstance(source, SummedSource)
    assert (source.classes, source.id(7)) == (("0", "1", "2", "3"), "queries/1")
    assert source.labels.tolist() == [*LABELS, *LABELS + 1]
    assert source.positions["queries"].tolist() == [6, 7, 8, 9, 10, 11]
    both = np.concatenate([PIXELS, PIXELS[::-1]]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(source.pixels(np.array([8, 0, 11])), both[[8, 0, 11]])
    np.testing.assert_array_equal(loaded(source, 11), PIXELS[0])


@pytest.mark.parametrize("other", [ArrayImages(PIXELS[:, :2], LABELS), DatasetImages(items())])
def test_others_are_joined_image_by_image(other):
    source = joined({"data": ArrayImages(PIXELS, LABELS), "queries": other})
    assert isinstance(source, SummedSource)
    assert not isinstance(source, PixelSource)
    assert source.sums(np.array([0, 6])).tolist() == [source.sums(np.array([p]))[0] for p in (0, 6)]
    assert len(set(source.sums(np.arange(12)).tolist())) == 12


def test_classes_of_one_name_are_one():
    named = DatasetImages(items())
    named.classes = ("dog", "cat", "owl")
    other = DatasetImages(items())
    other.classes = ("cat", "dog", "yak")
    source = joined({"data": named, "queries": other})
    assert source.classes == ("dog", "cat", "owl", "yak")
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 2, 1, 0, 3, 1, 0, 3]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.ones((6, 3), int), r"data, queries: expected labels of one form, got the shapes \[\(\), \(3,\)\]"),
        (None, "data, queries: expected the same classes, got 4 different names"),
    ],
)
def test_labels_of_two_forms_are_not_joined(labels, message):
    first = ArrayImages(PIXELS, LABELS if labels is not None else np.ones((6, 3), int))
    second = ArrayImages(PIXELS, np.ones((6, 3), int) if labels is None else labels)
    if labels is None:
        second.classes = ("0", "1", "other")
    with pytest.raises(ValueError, match=message):
        joined({"data": first, "queries": second})
