from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from vtsearch.data import PROTOCOLS, RetrievalData, Split, get_protocol, open_dataset, open_lists
from vtsearch.data.sources.image_source import ImageSource, PixelSource
from vtsearch.errors import VtsearchError, require_extra

COCO = Path(os.environ.get("VTSEARCH_DATA", ""), "coco736")


def test_every_protocol_is_found_under_its_name():
    assert list(PROTOCOLS) == [
        *("cifar10@54000", "cifar10@all", "cifar10@50000", "cifar10@unseen", "imagenet100@1000", "imagenet100@unseen"),
        *("nuswide21@5000", "nuswide81@5000", "mscoco@5000", "mirflickr", "voc2012", "digits"),
    ]
    assert all(get_protocol(name).name == name for name in PROTOCOLS)


def test_an_unknown_protocol_lists_the_choices():
    with pytest.raises(ValueError, match=r"protocol: expected one of cifar10@54000, .*, got 'digit' \(did you mean"):
        get_protocol("digit")


def test_digits_are_split_as_published_in_the_table():
    data = open_dataset("digits")
    assert (len(data.split.query), len(data.split.train), len(data.split.database)) == (100, 500, 1197)
    assert data.protocol.k is None
    assert isinstance(data.source, ImageSource)
    assert isinstance(data.source, PixelSource)


def test_digits_have_all_grey_values_and_match_their_images():
    source = open_dataset("digits").source
    pixels = source.pixels(np.arange(len(source)))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.array_equal(np.asarray(source.load(5)).transpose(2, 0, 1), pixels[5])
    assert source.id(5) == "digits/00005"


def test_the_fingerprint_covers_the_labels():
    data = open_dataset("digits")
    again = open_dataset("digits", split=data.split)
    assert again.fingerprint == data.fingerprint
    again.source.labels = again.source.labels[::-1]
    assert RetrievalData(data.protocol, again.source, data.split).fingerprint != data.fingerprint


def test_a_split_of_a_larger_data_set_is_refused():
    with pytest.raises(VtsearchError, match="split: has position 5000, and digits has 1797 images"):
        open_dataset("digits", split=Split([0], [1], [5000]))


def pictures(folder, counts):
    for name, count in counts.items():
        (folder / name).mkdir()
        for number in range(count):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / name / f"{number}.png")
    return str(folder)


def test_a_folder_of_classes_is_drawn_by_its_smallest_class(tmp_path):
    folder = pictures(tmp_path, {"cat": 25, "dog": 30})
    data = open_dataset(folder, seed=3)
    assert data.protocol.name == folder
    assert data.source.labels[data.split.query].tolist() == [0, 0, 1, 1]
    assert np.bincount(data.source.labels[data.split.train]).tolist() == [23, 23]
    assert len(data.split.database) == 51
    assert open_dataset(folder, seed=3).fingerprint == data.fingerprint
    assert open_dataset(folder, seed=4).fingerprint != data.fingerprint
    assert open_dataset(folder, seed=4, split=data.split).fingerprint == data.fingerprint


def test_a_class_of_one_image_cannot_be_split(tmp_path):
    with pytest.raises(ValueError, match=r"class 'dog' has 1 images, and 2 are needed \(1 query and 1 train\)"):
        open_dataset(pictures(tmp_path, {"cat": 9, "dog": 1}))


def test_list_files_in_a_folder_are_its_split(tmp_path):
    folder = pictures(tmp_path, {"images": 4})
    (tmp_path / "query.txt").write_text("images/0.png 1 0\n")
    (tmp_path / "database.txt").write_text("images/1.png 1 0\nimages/2.png 0 1\n")
    data = open_dataset(folder)
    assert [data.source.id(position) for position in data.split.query] == ["images/0.png"]
    assert data.split.train.tolist() == data.split.database.tolist()
    (tmp_path / "train.txt").write_text("images/3.png 1 1\n")
    data = open_dataset(folder)
    assert [data.source.id(position) for position in data.split.train] == ["images/3.png"]
    assert len(data.split.database) == 2


def test_a_missing_extra_is_named():
    with (
        patch.dict(sys.modules, {"pyarrow.parquet": None}),
        pytest.raises(ModuleNotFoundError, match=r"needs pyarrow: pip install 'vtsearch\[parquet\]'"),
    ):
        require_extra("pyarrow.parquet")


@pytest.mark.skipif(not COCO.is_dir(), reason="VTSEARCH_DATA has no coco736")
def test_list_files_of_a_real_multi_label_set_are_read():
    data = open_lists(COCO / "query.txt", COCO / "database.txt")
    assert (len(data.split.query), len(data.split.train), len(data.split.database)) == (136, 600, 600)
    assert data.source.labels.shape == (736, 80)
    assert (data.source.labels.sum(axis=1) > 1).sum() == 625
    assert min(data.source.load(0).size) <= 288
