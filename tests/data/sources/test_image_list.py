from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vtsearch.data import open_folder, open_image_list, open_lists
from vtsearch.data.sources.image_list import ImageListSource
from vtsearch.errors import VtsearchError


@pytest.fixture
def pictures(tmp_path):
    for number in range(4):
        Image.new("RGB", (6, 5), (number * 50, 0, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


def write(folder, text, name="list.txt"):
    (folder / name).write_text(text)
    return folder / name


def test_lines_are_items_and_columns_are_labels(pictures):
    source = open_image_list(write(pictures, "2.png 0 1\n\n0.png 1 1\n"))
    assert len(source) == 2
    assert source.labels.tolist() == [[0, 1], [1, 1]]
    assert source.labels.dtype == np.uint8
    assert source.classes == ("0", "1")
    assert [source.id(0), source.id(1)] == ["2.png", "0.png"]
    assert source.load(0).getpixel((0, 0)) == (100, 0, 0)


def test_paths_are_relative_to_the_root(pictures, tmp_path_factory):
    file = write(tmp_path_factory.mktemp("lists"), "1.png 1\n")
    assert open_image_list(file, pictures).load(0).size == (6, 5)


def test_a_path_in_two_files_is_one_item(pictures):
    query, database = write(pictures, "0.png 1 0\n", "q.txt"), write(pictures, "1.png 0 1\n2.png 1 1\n", "d.txt")
    train = write(pictures, "3.png 1 0\n2.png 1 1\n", "t.txt")
    data = open_lists(query, database, train)
    assert len(data.source) == 4
    assert [data.source.id(position) for position in data.split.train] == ["2.png", "3.png"]
    assert np.array_equal(data.split.database, [1, 2])


def test_without_a_train_list_the_database_is_trained_on(pictures):
    query, database = write(pictures, "0.png 1\n", "q.txt"), write(pictures, "1.png 1\n2.png 1\n", "d.txt")
    data = open_lists(query, database, k=5)
    assert np.array_equal(data.split.train, data.split.database)
    assert data.protocol.k == 5


def test_a_query_in_the_database_is_refused(pictures):
    file = write(pictures, "0.png 1\n1.png 1\n")
    with pytest.raises(ValueError, match="query: expected no train image, got 2"):
        open_lists(file, file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.png 1 0\n1.png 1\n", "list.txt:2: expected 2 label columns after the path, got 1"),
        ("0.png\n", "list.txt:1: expected at least 1 label columns after the path, got 0"),
        ("0.png 1 0\n1.png 1 x\n", "list.txt:2: expected labels 0 or 1, got 'x'"),
        ("0.png cat\n", "list.txt:1: expected a class number from 0 to 99,999, got 'cat'"),
        ("0.png 1\n1.png 100000\n", "list.txt:2: expected a class number from 0 to 99,999, got '100000'"),
        ("0.png 1\n1.png -1\n", "list.txt:2: expected a class number from 0 to 99,999, got '-1'"),
        ("0.png 3 0\n", "list.txt:1: expected labels 0 or 1, got '3'"),
        ("0.png 1 0\n0.png 0 1\n", "list.txt:2: 0.png has other labels than at "),
        ("\n", "list.txt: expected lines of a path and labels, got none"),
    ],
)
def test_a_malformed_line_is_named(pictures, text, message):
    with pytest.raises(ValueError) as error:
        open_image_list(write(pictures, text))
    assert message in str(error.value)


def test_a_missing_image_names_file_and_line(pictures):
    with pytest.raises(FileNotFoundError, match=r"list.txt:2: no such image: .*9\.png"):
        open_image_list(write(pictures, "0.png 1\n9.png 1\n"))


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        open_image_list(tmp_path / "none.txt")


def test_a_truncated_image_names_file_and_line(pictures):
    whole = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    for suffix in ("jpg", "png"):
        path = pictures / f"cut.{suffix}"
        Image.fromarray(whole).save(path)
        path.write_bytes(path.read_bytes()[:1000])
        source = open_image_list(write(pictures, f"0.png 1\ncut.{suffix} 1\n"))
        with pytest.raises(VtsearchError, match=rf"list.txt:2: cannot read image .*cut\.{suffix}"):
            source.load(1)


def test_a_file_that_is_no_image_names_file_and_line(pictures):
    (pictures / "text.png").write_text("hello")
    source = open_image_list(write(pictures, "text.png 1\n"))
    with pytest.raises(VtsearchError, match=r"list.txt:1: cannot read image"):
        source.load(0)


def test_an_image_that_went_away_is_named(pictures):
    source = open_image_list(write(pictures, "0.png 1\n"))
    (pictures / "0.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"0\.png"):
        source.load(0)


def test_class_names_come_one_per_column(pictures):
    file = write(pictures, "0.png 1 0\n")
    assert ImageListSource([file], classes=["cat", "dog"]).classes == ("cat", "dog")
    with pytest.raises(ValueError, match="classes: expected 2 names, one per class, got 1"):
        ImageListSource([file], classes=["cat"])


def test_one_column_holds_class_numbers(pictures):
    files = [write(pictures, "0.png 2\n", "a.txt"), write(pictures, "1.png 0\n2.png 1\n0.png 2\n", "b.txt")]
    source = ImageListSource(files)
    assert source.labels.tolist() == [2, 0, 1]
    assert source.labels.dtype == np.int64
    assert source.classes == ("0", "1", "2")
    assert [positions.tolist() for positions in source.positions] == [[0], [1, 2, 0]]
    assert ImageListSource(files, classes=["cat", "dog", "owl", "eel"]).classes[3] == "eel"
    with pytest.raises(ValueError, match="classes: expected 3 names, one per class, got 2"):
        ImageListSource(files, classes=["cat", "dog"])


def test_paths_and_labels_may_stand_in_two_files(pictures):
    (pictures / "0.png").rename(pictures / "a cat.png")
    pair = (write(pictures, "a cat.png\n1.png\n\n", "test_img.txt"), write(pictures, "1 0\n1 1\n\n", "test_label.txt"))
    source = ImageListSource([pair])
    assert (source.id(0), source.labels.tolist()) == ("a cat.png", [[1, 0], [1, 1]])
    write(pictures, "1 0\n", "test_label.txt")
    with pytest.raises(ValueError, match=r"test_label.txt: expected 3 lines as in test_img.txt, got 1"):
        ImageListSource([pair])


def test_all_faults_are_told_to_who_asks(pictures):
    told = []
    file = write(pictures, "0.png 1 0\n1.png 1\n9.png 0 1\n2.png 0 2\n")
    source = ImageListSource([file], report=lambda kind, fault: told.append((kind, type(fault))))
    assert told == [("labels", ValueError), ("labels", ValueError), ("files", FileNotFoundError)]
    assert [source.id(position) for position in source.positions[0]] == ["0.png", "9.png"]


def test_a_list_of_nothing_but_faults_is_refused(pictures):
    with pytest.raises(ValueError, match="labels: expected an image with labels, got none without a fault"):
        ImageListSource([write(pictures, "0.png\n")], report=lambda _kind, _fault: None)


def test_blanks_in_paths_are_understood_where_the_path_ends_with_a_suffix(pictures):
    (pictures / "my cat.v2.png").write_bytes((pictures / "0.png").read_bytes())
    source = open_image_list(write(pictures, "my cat.v2.png 0 1\n1.png 1 0\n"))
    assert [source.id(0), source.id(1)] == ["my cat.v2.png", "1.png"]
    assert source.labels.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match=r"list.txt:1: expected labels 0 or 1, got '0.5'"):
        open_image_list(write(pictures, "0.png 1 0.5\n"))


def test_class_numbers_with_gaps_are_told(pictures):
    source = open_image_list(write(pictures, "0.png 1\n1.png 2\n2.png 2\n"))
    assert source.remarks == (
        "classes: the numbers go from 0 to 2, and 1 of them have no image: 0; classes are numbered from 0",
    )
    source = open_image_list(write(pictures, "0.png 0\n1.png 7\n"))
    assert source.remarks == ("classes: the numbers go from 0 to 7, and 6 of them have no image: 1, 2, 3 and 3 more",)
    write(pictures, "0.png 1\n1.png 1\n2.png 2\n3.png 2\n", "all.txt")
    with pytest.raises(ValueError, match="1 of them have no image: 0; classes are numbered from 0"):
        open_folder(pictures)


def test_the_folders_of_an_author_are_stripped_from_the_paths(pictures):
    file = write(pictures, "/home/author/data/0.png 1\n/home/author/data/1.png 0\n")
    source = open_image_list(file, strip_prefix="/home/author/data")
    assert [source.id(at) for at in range(2)] == ["0.png", "1.png"]
    assert source.path(0) == pictures / "0.png"
    with pytest.raises(ValueError, match=r"list.txt:1: strip_prefix: expected a path that begins with '/x', got"):
        open_image_list(file, strip_prefix="/x")
    with pytest.raises(FileNotFoundError, match=r"no such image: /home/author/data/0.png; --strip-prefix removes"):
        open_image_list(file)
    windows = write(pictures, "D:\\data\\0.png 1\n")
    assert open_image_list(windows, strip_prefix="D:\\data\\").id(0) == "0.png"
