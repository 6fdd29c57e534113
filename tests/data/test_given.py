from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vtsearch.data.given import given_images, is_given
from vtsearch.data.open import open_folder
from vtsearch.errors import VtsearchError

RANDOM = np.random.default_rng(0)


def pair(per_class, classes=2, size=8):
    labels = np.repeat(np.arange(classes), per_class)
    return RANDOM.integers(0, 256, (len(labels), size, size, 3), dtype=np.uint8), labels


def folder(path, images, names=("cat", "dog")):
    for number, (pixels, label) in enumerate(zip(*images, strict=True)):
        (path / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path / names[label] / f"{number:03}.png")
    return path


def sizes(split):
    return len(split.query), len(split.train), len(split.database)


def test_the_split_of_images_alone_is_that_of_a_folder_of_them(tmp_path):
    images = pair(20)
    given = given_images(images, name="pets").divided(3)
    assert given.protocol.name == "python:pets"
    assert is_given(given.protocol.name)
    assert not is_given("digits")
    assert given.split == open_folder(folder(tmp_path, images), seed=3).split
    assert given.split != given_images(images).divided(4).split
    assert given_images(images).divided(4, given.split).split == given.split


def test_several_labels_are_divided_by_numbers():
    images, labels = pair(20)
    given = given_images((images, np.eye(2, dtype=int)[labels])).divided(0)
    assert sizes(given.split) == (4, 36, 36)


def test_queries_are_searched_among_the_training_images():
    data, queries = pair(5), pair(2)
    given = given_images(data, queries).divided(0)
    assert sizes(given.split) == (4, 10, 10)
    assert np.array_equal(given.split.train, given.split.database)
    assert given.source.id(int(given.split.query[0])) == "queries/0"
    assert given_images(data, queries, data).divided(0).split == given.split


def test_a_database_of_its_own_is_searched():
    given = given_images(pair(5), pair(2), pair(7)).divided(0)
    assert sizes(given.split) == (4, 10, 14)
    assert given.source.id(int(given.split.database[0])) == "database/0"


def test_folders_and_arrays_go_together_by_the_names_of_their_classes(tmp_path):
    images = pair(5)
    items = list(zip(*pair(3), strict=True))

    class Named(list):
        classes = ("dog", "cat")

    given = given_images(folder(tmp_path, images), Named(items)).divided(0)
    assert given.source.classes == ("cat", "dog")
    assert given.source.labels[given.split.query].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("images", "kind", "message"),
    [
        ((7,), TypeError, r"data: expected \(images, labels\) in arrays, a data set .*, got int"),
        ((pair(5)[0],), TypeError, "data: expected .*, got ndarray"),
        ((pair(5), "digits"), ValueError, "queries: expected images beside given queries, got the protocol digits"),
        ((pair(5), "nowhere"), FileNotFoundError, "queries: nowhere: no such folder of images"),
        ((pair(5), None, pair(5)), ValueError, "queries: expected images, as there is a database, got None"),
        ((pair(5, 1),), ValueError, "python:images: expected images of two classes or more, got one, '0'"),
        ((pair(1),), ValueError, "python:images: class '0' has 1 images, and 2 are needed"),
        ((pair(5), (pair(5)[0], pair(5)[1] + 7)), ValueError, "queries: expected classes of the database, got none"),
    ],
)
def test_images_that_no_run_can_have_are_refused(images, kind, message):
    with pytest.raises(kind, match=message):
        given_images(*images).divided(0)


def test_a_split_of_other_images_is_refused():
    split = given_images(pair(20)).divided(0).split
    with pytest.raises(VtsearchError, match="split: has position"):
        given_images(pair(5)).divided(0, split)
