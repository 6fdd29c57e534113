from __future__ import annotations

import numpy as np
import pytest
from dataset_fixtures import FORMATS, items, save_image, save_images

from vtsearch.data import open_dataset
from vtsearch.data.make_split import make_split
from vtsearch.data.validation.check import check_dataset

FORMS = ["lists", "csv", "parquet"]


@pytest.fixture
def photos(tmp_path):
    for name in ("owl", "cat", "12"):
        for number in range(6):
            save_image(tmp_path / "photos" / name / f"{number}.png", 10 * sum(name.encode()) + number)
    return tmp_path / "photos"


def labels_by_path(data, part):
    source = data.source
    return {
        source.path(item).resolve(): source.classes[source.labels[item]] for item in getattr(data.split, part).tolist()
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ["rest", "rest+train", "train"])
def test_what_is_written_opens_as_it_was_drawn(photos, tmp_path, form, rule):
    output = tmp_path / "out" / "split"
    made = make_split(photos, output, queries_per_class=1, train_per_class=2, database=rule, seed=5, form=form)
    names = {"lists": {"query.txt", "train.txt", "database.txt", "classes.txt"}}.get(form, {f"manifest.{form}"})
    assert {path.name for path in output.iterdir()} == names
    again = open_dataset(str(output))
    for part in ("query", "train", "database"):
        assert labels_by_path(again, part) == labels_by_path(made, part)
    assert set(again.source.classes) == {"12", "cat", "owl"}
    assert len(again.split.query) == 3
    assert len(again.split.database) == {"rest": 9, "rest+train": 15, "train": 6}[rule]
    assert check_dataset(str(output)).is_clean


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", ["list", "table"])
def test_images_with_several_labels_are_divided_too(tmp_path, form, source):
    made = items()
    save_images(tmp_path, made)
    if source == "list":
        images = tmp_path / "photos.txt"
        images.write_text("".join(f"{item.name} {' '.join(map(str, item.labels))}\n" for item in made))
    else:
        FORMATS["csv"].write(tmp_path, made)
        images = tmp_path / "manifest.csv"
    make_split(images, tmp_path / "split", queries_per_class=1, train_per_class=2, form=form)
    data = open_dataset(str(tmp_path / "split"))
    assert [len(part) for part in (data.split.query, data.split.train, data.split.database)] == [3, 6, 9]
    rows = {tmp_path / item.name: list(item.labels) for item in made}
    for item in range(len(data.source)):
        assert data.source.labels[item].tolist() == rows[data.source.path(item).resolve()]


def test_the_seed_decides(photos, tmp_path):
    drawn = [
        make_split(photos, tmp_path / str(n), queries_per_class=1, train_per_class=2, seed=seed).split
        for n, seed in enumerate((0, 0, 1))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_a_folder_called_like_a_protocol_is_a_folder(photos, tmp_path, monkeypatch):
    photos.rename(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    data = make_split("digits", "split", queries_per_class=1, train_per_class=2)
    assert len(data.source) == 18


@pytest.mark.parametrize("form", ["lists", "csv"])
def test_paths_with_blanks_are_read_back(photos, tmp_path, form):
    (photos / "owl").rename(photos / "barn owl")
    made = make_split(photos, tmp_path / "split", queries_per_class=1, train_per_class=2, form=form)
    again = open_dataset(str(tmp_path / "split"))
    assert again.source.classes == ("12", "barn owl", "cat")
    assert [again.source.path(at).name for at in again.split.query] == [
        made.source.path(at).name for at in made.split.query
    ]


def test_paths_that_end_like_labels_need_a_table(photos, tmp_path):
    names = [f"photo {number}" for number in range(4)]
    for name in names:
        save_image(photos / name, 0)
    (tmp_path / "table.csv").write_text("path,label\n" + "".join(f"{name},{'xxyy'[int(name[-1])]}\n" for name in names))
    with pytest.raises(ValueError, match="form: expected csv or parquet for a path with a blank in it"):
        make_split(
            tmp_path / "table.csv", tmp_path / "s", root=photos, queries_per_class=1, train_per_class=1, database="rest"
        )


def test_paths_of_a_list_may_have_another_root(tmp_path):
    made = items(several=False)
    save_images(tmp_path / "there", made)
    (tmp_path / "all.txt").write_text("".join(f"{item.name} {item.number}\n" for item in made))
    data = make_split(
        tmp_path / "all.txt", tmp_path / "split", queries_per_class=1, train_per_class=1, root=tmp_path / "there"
    )
    assert np.bincount(data.source.labels).tolist() == [4, 4, 4]
    assert len(open_dataset(str(tmp_path / "split")).split.train) == 3


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"form": "json"}, ValueError, "form: expected one of lists, csv, parquet, got 'json'"),
        ({"database": "all"}, ValueError, r"database: expected one of rest, rest\+train, train, got 'all'"),
        ({"train_per_class": 0}, ValueError, "train_per_class: expected at least 1, got 0"),
        ({"queries_per_class": 0}, ValueError, "queries_per_class, train_per_class: expected at least 1"),
        ({"queries_per_class": 5}, ValueError, "class '12' has 6 images, and 7 are needed"),
        ({"images": "nowhere"}, FileNotFoundError, r"images: expected a folder of images, a list \(.txt\)"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_written(photos, tmp_path, changes, kind, message):
    words = {"images": photos, "output": tmp_path / "split", "queries_per_class": 1, "train_per_class": 2}
    with pytest.raises(kind, match=message):
        make_split(**(words | changes))
    assert not (tmp_path / "split").exists()


def test_files_that_are_there_are_kept_unless_they_may_go(photos, tmp_path):
    words = {"queries_per_class": 1, "train_per_class": 2}
    make_split(photos, tmp_path / "split", **words)
    before = (tmp_path / "split/query.txt").read_text()
    with pytest.raises(FileExistsError, match=r"output: .*query.txt exists; choose another folder, or --overwrite it"):
        make_split(photos, tmp_path / "split", **words, seed=1)
    assert (tmp_path / "split/query.txt").read_text() == before
    make_split(photos, tmp_path / "split", **words, seed=1, overwrite=True)
    assert (tmp_path / "split/query.txt").read_text() != before


def test_a_class_called_like_a_column_needs_lists(tmp_path):
    made = items()
    save_images(tmp_path, made)
    (tmp_path / "all.txt").write_text("".join(f"{item.name} {' '.join(map(str, item.labels))}\n" for item in made))
    (tmp_path / "classes.txt").write_text("cat\nsplit\nowl\n")
    with pytest.raises(ValueError, match="form: expected lists for classes that are called 'split', got csv"):
        make_split(tmp_path, tmp_path / "out", queries_per_class=1, train_per_class=2, form="csv")
