from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dataset_fixtures import FORMATS, cifar10, items, save_image, save_images

from vtsearch.data import PROTOCOLS, open_dataset, open_folder
from vtsearch.data.datasets import DATASETS, find_lists
from vtsearch.data.protocols import PublishedSplit

ADDRESSES = {
    "cifar10": "cs.toronto.edu",
    "imagenet": "image-net.org",
    "nuswide": "lms.comp.nus.edu.sg",
    "coco": "cocodataset.org",
    "mirflickr": "press.liacs.nl",
    "voc2012": "host.robots.ox.ac.uk",
    "digits": "scikit-learn.org",
}


def sizes(data):
    return len(data.split.query), len(data.split.train), len(data.split.database)


@pytest.mark.parametrize(
    ("name", "counts", "k", "images"),
    [
        ("cifar10@54000", (1_000, 5_000, 54_000), None, 60_000),
        ("cifar10@all", (1_000, 5_000, 59_000), None, 60_000),
        ("cifar10@50000", (10_000, 50_000, 50_000), None, 60_000),
        ("cifar10@unseen", (1_000, 3_500, 55_500), None, 60_000),
        ("imagenet100@1000", (5_000, 13_000, 128_503), 1_000, 133_503),
        ("imagenet100@unseen", (5_000, 9_750, 128_503), 1_000, 133_503),
        ("nuswide21@5000", (2_100, 10_500, 193_734), 5_000, 195_834),
        ("nuswide81@5000", (5_000, 10_000, 168_692), 5_000, 173_692),
        ("mscoco@5000", (5_000, 10_000, 117_218), 5_000, 122_218),
        ("mirflickr", (1_000, 4_000, 20_000), None, 25_000),
        ("voc2012", (1_000, 4_000, 6_540), None, 11_540),
        ("digits", (100, 500, 1_197), None, 1_797),
    ],
)
def test_the_table_has_the_published_numbers(name, counts, k, images):
    protocol = PROTOCOLS[name]
    published = protocol.published
    assert (published.query, published.train, published.database) == counts
    assert (protocol.k, protocol.images) == (k, images)
    if protocol.draw != "sizes":
        assert protocol.queries * published.classes == published.query
        assert protocol.train * (protocol.seen_classes or published.classes) == published.train
    else:
        assert (protocol.queries, protocol.train) == (published.query, published.train)


def test_every_data_set_says_what_it_needs_and_who_offers_it():
    assert {protocol.source for protocol in PROTOCOLS.values()} == DATASETS.keys() == ADDRESSES.keys()
    for key, address in ADDRESSES.items():
        assert address in DATASETS[key].page


def test_only_the_published_numbers_pass_without_a_remark(tmp_path):
    digits = open_dataset("digits")
    assert digits.remark == ""
    fewer = replace(digits.protocol, published=PublishedSplit(query=100, train=501, database=1_197, classes=10))
    assert replace(digits, protocol=fewer).remark == "not the published digits: 500 of 501 training images"
    FORMATS["folders"].build(tmp_path)
    assert open_folder(tmp_path).remark == ""  # nothing is published


def test_a_small_copy_of_tables_is_drawn_in_proportion(tmp_path):
    cifar10(tmp_path)
    data = open_dataset("cifar10@all", tmp_path)
    assert sizes(data) == (10, 10, 110)
    assert data.remark == (
        "not the published cifar10@all: 10 of 1,000 queries, 10 of 5,000 training images, 110 of 59,000 database images"
    )


def test_more_than_half_of_the_images_are_divided_as_published(tmp_path, monkeypatch):
    cifar10(tmp_path)
    small = replace(
        PROTOCOLS["cifar10@all"],
        queries=2,
        train=3,
        published=PublishedSplit(query=20, train=30, database=180, classes=10),
    )
    monkeypatch.setitem(PROTOCOLS, "cifar10@all", small)
    assert sizes(open_dataset("cifar10@all", tmp_path)) == (20, 30, 100)


def test_lists_may_lie_in_the_folder_in_which_they_are_exchanged(tmp_path):
    made = FORMATS["lists"].build(tmp_path)
    (tmp_path / "mirflickr").mkdir()
    for name in ("test", "train", "database"):
        (tmp_path / f"{name}.txt").rename(tmp_path / f"mirflickr/{name}.txt")
    data = open_dataset("mirflickr", tmp_path)
    assert data.source.path(0) == tmp_path / made[0].name
    assert sizes(data) == (3, 6, 9)


def test_a_data_set_may_lie_in_a_folder_of_its_name(tmp_path, monkeypatch):
    FORMATS["coco"].build(tmp_path / "COCO")
    FORMATS["nuswide"].build(tmp_path / "NUS-WIDE")
    monkeypatch.setenv("VTSEARCH_DATA", str(tmp_path))
    assert sizes(open_dataset("mscoco@5000")) == sizes(open_dataset("nuswide21@5000")) == (3, 6, 9)
    with pytest.raises(FileNotFoundError, match="expected train/<class>"):
        open_dataset("imagenet100@1000")
    monkeypatch.delenv("VTSEARCH_DATA")
    with pytest.raises(FileNotFoundError, match="data: expected a folder with train/<class>"):
        open_dataset("imagenet100@1000")


def test_one_list_of_all_is_divided_by_the_protocol(tmp_path):
    made = items()
    save_images(tmp_path, made)
    (tmp_path / "all.txt").write_text("".join(f"{item.name} {' '.join(map(str, item.labels))}\n" for item in made))
    assert sizes(open_dataset("mirflickr", tmp_path)) == (1, 2, 9)
    assert sizes(open_folder(tmp_path)) == (1, 11, 11)


def test_class_names_stand_in_a_file_beside_the_lists(tmp_path):
    FORMATS["lists"].build(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\nowl\n")
    assert open_folder(tmp_path).source.classes == ("cat", "dog", "owl")


def test_without_a_train_list_training_images_are_drawn_from_the_database(tmp_path, monkeypatch):
    FORMATS["class lists"].build(tmp_path)
    (tmp_path / "train.txt").unlink()
    small = replace(
        PROTOCOLS["imagenet100@1000"], train=2, published=PublishedSplit(query=3, train=6, database=9, classes=3)
    )
    monkeypatch.setitem(PROTOCOLS, "imagenet100@1000", small)
    data = open_dataset("imagenet100@1000", tmp_path, seed=1)
    assert np.bincount(data.source.labels[data.split.train]).tolist() == [2, 2, 2]
    assert set(data.split.train) < set(data.split.database)
    assert open_dataset("imagenet100@1000", tmp_path, seed=2).split != data.split
    many = replace(PROTOCOLS["mscoco@5000"], published=PublishedSplit(query=3, train=4, database=9, classes=3))
    monkeypatch.setitem(PROTOCOLS, "mscoco@5000", many)
    assert sizes(open_dataset("mscoco@5000", tmp_path)) == (3, 4, 9)


def test_training_images_that_belong_apart_need_a_list(tmp_path):
    FORMATS["lists"].build(tmp_path)
    (tmp_path / "train.txt").unlink()
    with pytest.raises(ValueError, match="train: expected a list of training images too: mirflickr has them apart"):
        open_dataset("mirflickr", tmp_path)


def test_pairs_with_a_column_per_class_are_preferred(tmp_path):
    FORMATS["pairs"].build(tmp_path)
    assert find_lists(tmp_path)["query"] == (tmp_path / "test_img.txt", tmp_path / "test_label.txt")
    (tmp_path / "test_label_onehot.txt").write_text("")
    assert find_lists(tmp_path)["query"] == (tmp_path / "test_img.txt", tmp_path / "test_label_onehot.txt")


def test_a_folder_is_not_taken_for_a_protocol_by_its_suffix(tmp_path):
    (tmp_path / "set.csv").mkdir()
    save_image(tmp_path / "set.csv/cat/0.png", 0)
    save_image(tmp_path / "set.csv/cat/1.png", 1)
    save_image(tmp_path / "set.csv/dog/0.png", 2)
    save_image(tmp_path / "set.csv/dog/1.png", 3)
    assert len(open_dataset(str(tmp_path / "set.csv")).source) == 4
