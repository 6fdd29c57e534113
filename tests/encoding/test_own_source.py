"""A source of the user's own class: encoded to an index, brought up to date, and no more asked of it than it has."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from container_files import encoded
from PIL import Image

from vtsearch.data import Stamp, select_source
from vtsearch.data.locate import ImageLocator, knows_images
from vtsearch.data.skipped import skipped_images
from vtsearch.encoding import Encoder, encode_shard, update_index
from vtsearch.encoding.update import IndexUpdate
from vtsearch.errors import VtsearchError
from vtsearch.index import Index


def pixels(number):
    return np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)


class Store:
    """Pictures by number; one below 0 cannot be read."""

    def __init__(self, numbers):
        self.numbers, self.loaded = list(numbers), []

    def __len__(self):
        return len(self.numbers)

    def load(self, position):
        self.loaded.append(position)
        if self.numbers[position] < 0:
            raise VtsearchError(f"no picture {self.numbers[position]}")
        return Image.fromarray(pixels(self.numbers[position]))

    def id(self, position):
        return f"picture {self.numbers[position]}"


class LabelledStore(Store):
    classes = ("even", "odd")

    @property
    def labels(self):
        return np.array(self.numbers) % 2


class EncodedStore(Store):
    """Knows by a version whether a picture has changed."""

    def __init__(self, numbers, versions=()):
        super().__init__(numbers)
        self.versions = dict(versions)

    def read(self, position):
        number = self.numbers[position]
        return encoded(number + 100 * self.versions.get(number, 0))

    def load(self, position):
        self.loaded.append(position)
        return Image.fromarray(pixels(self.numbers[position] + 100 * self.versions.get(self.numbers[position], 0)))

    def stamp(self, position):
        return Stamp(len(self.read(position)), self.versions.get(self.numbers[position], 0))


@pytest.fixture
def encoder(tiny_model):
    return Encoder(tiny_model, batch_size=8)


def test_an_encoder_takes_what_has_a_length_loads_and_names(encoder):
    store = Store(range(5))
    assert np.array_equal(encoder.encode(store), encoder.encode([pixels(number) for number in range(5)]))
    assert np.array_equal(encoder.encode(store, [3]), encoder.encode([pixels(3)]))


def test_an_index_is_made_and_follows(encoder, tmp_path):
    encode_shard(encoder, select_source(Store([1, 2, -1, 3]), name="store"), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.ids() == ["picture 1", "picture 2", "picture 3"]
    assert index.labels() is None
    assert index.metadata() == {}
    assert skipped_images(index) == [("picture -1", "no picture -1")]
    store = Store([2, 3, 4])
    done = update_index(encoder, select_source(store, name="store"), tmp_path / "index")
    assert done == IndexUpdate(1, 0, 0, 1, 2, 0)
    assert store.loaded == [2]
    with pytest.raises(ValueError, match=r"is of other images \(source store, not shop\)"):
        update_index(encoder, select_source(store, name="shop"), tmp_path / "index")


def test_labels_are_taken_if_there_are_any(encoder, tmp_path):
    encode_shard(encoder, select_source(LabelledStore([1, 2, 5]), name="store"), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.labels().tolist() == [1, 0, 1]
    assert index.classes == ("even", "odd")


def test_a_source_with_stamps_is_read_again_where_they_differ(encoder, tmp_path):
    encode_shard(encoder, select_source(EncodedStore([1, 2, 3]), name="store"), tmp_path / "index")
    store = EncodedStore([1, 2, 3], {2: 1})
    done = update_index(encoder, select_source(store, name="store"), tmp_path / "index")
    assert done == IndexUpdate(0, 1, 0, 0, 2, 0)
    assert store.loaded == [1]
    content = hashlib.sha256(encoded(102)).hexdigest()
    index = Index.open(tmp_path / "index")
    assert index.metadata()["content"][index.ids().index("picture 2")] == content


def test_its_pictures_are_its_own_business(encoder, tmp_path):
    encode_shard(encoder, select_source(Store([1]), name="the store"), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert not knows_images(index)
    with pytest.raises(
        VtsearchError, match="of a source of your own, 'the store', which alone finds them by their ids"
    ):
        ImageLocator.of(index)
