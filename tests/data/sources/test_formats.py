"""Each format, whole: the same images, labels and split come out of all of them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_fixtures import CLASSES, FORMATS, items, save_image, table

from vtsearch.data import open_dataset, open_manifest
from vtsearch.data.sources.cifar10 import Cifar10Source
from vtsearch.data.sources.coco import CocoSource
from vtsearch.data.sources.digits import DigitsSource
from vtsearch.data.sources.image_files import class_numbers, zeros_and_ones
from vtsearch.data.sources.imagenet import ImagenetSource
from vtsearch.data.sources.manifest import ManifestSource
from vtsearch.data.sources.mirflickr import MirflickrSource
from vtsearch.data.sources.nuswide import NuswideSource
from vtsearch.data.sources.voc import VocSource
from vtsearch.errors import VtsearchError

PROTOCOL = {
    "coco": "mscoco@5000",
    "nuswide": "nuswide81@5000",
    "imagenet": "imagenet100@1000",
    "voc2012": "voc2012",
    "mirflickr": "mirflickr",
}


@pytest.mark.parametrize("form", [name for name in FORMATS if name not in ("imagenet", "folders")])
def test_every_format_holds_the_same(tmp_path, form):
    made = FORMATS[form].build(tmp_path)
    data = open_dataset(PROTOCOL.get(form, str(tmp_path)), tmp_path)
    source = data.source
    assert len(source) == 12
    at = {source.id(position): position for position in range(12)}
    expected = [at[item.name] for item in made]
    labels = source.labels[expected]
    if labels.ndim == 1:
        assert labels.tolist() == [item.number for item in made]
    else:  # NUS-WIDE's files have a concept more, which no image has
        assert labels[:, :3].tolist() == [list(item.labels) for item in made]
    for part in ("query", "train", "database"):
        apart = part == "database" and form in ("voc2012", "mirflickr")  # there training images are not searched
        members = [at[item.name] for item in made if part in item.parts and not (apart and "train" in item.parts)]
        assert getattr(data.split, part).tolist() == sorted(members)
    picture = np.asarray(source.load(at[made[7].name]))
    assert np.array_equal(picture, np.random.default_rng(7).integers(0, 255, (24, 24, 3), dtype=np.uint8))
    assert source.path(at[made[7].name]) == tmp_path / made[7].name


# ---------------------------------------------------------------------------------------------------------------------
# Manifests


def write_csv(folder, text):
    (folder / "table.csv").write_text(text)
    for name in ("a b.png", "c.png", "d.png"):
        save_image(folder / name, 0)
    return folder / "table.csv"


def test_a_label_column_holds_class_names(tmp_path):
    source = open_manifest(write_csv(tmp_path, "path,label\na b.png,owl\nc.png,cat\nd.png,owl\n"))
    assert source.labels.tolist() == [1, 0, 1]
    assert source.classes == ("cat", "owl")
    assert source.id(0) == "a b.png"
    assert source.parts is None


def test_class_numbers_are_in_numerical_order(tmp_path):
    source = open_manifest(write_csv(tmp_path, "label,path\n10,a b.png\n9,c.png\n10,d.png\n"))
    assert source.classes == ("9", "10")
    assert source.labels.tolist() == [1, 0, 1]


def test_other_columns_are_classes(tmp_path):
    source = open_manifest(write_csv(tmp_path, "path,cat,owl\na b.png,1,1\n\nc.png,0,1\n"))
    assert source.labels.tolist() == [[1, 1], [0, 1]]
    assert source.classes == ("cat", "owl")


def test_a_split_column_may_leave_images_out(tmp_path):
    file = write_csv(tmp_path, "path,label,split\na b.png,x,query\nc.png,x,train+database\nd.png,y,\n")
    source = open_manifest(file)
    parts = {part: positions.tolist() for part, positions in source.parts.items()}
    assert parts == {"query": [0], "train": [1], "database": [1]}
    data = open_dataset(str(file))
    assert len(data.source) == 3
    assert data.split.database.tolist() == [1]


def test_without_database_rows_the_training_images_are_searched(tmp_path):
    data = open_dataset(str(write_csv(tmp_path, "path,label,split\na b.png,x,query\nc.png,x,train\n")))
    assert data.split.database.tolist() == data.split.train.tolist() == [1]


def test_parquet_takes_numbers_of_any_kind(tmp_path):
    columns = table(items())
    for item in items():
        save_image(tmp_path / item.name, 0)
    columns["cat"] = [bool(value) for value in columns["cat"]]
    columns["dog"] = [float(value) for value in columns["dog"]]
    pq.write_table(pa.table(columns), tmp_path / "manifest.parquet")
    assert open_manifest(tmp_path / "manifest.parquet").labels.tolist() == [list(item.labels) for item in items()]


def test_paths_of_a_manifest_are_relative_to_the_root(tmp_path, tmp_path_factory):
    file = write_csv(tmp_path, "path,label\nc.png,x\n")
    moved = tmp_path_factory.mktemp("elsewhere") / "table.csv"
    file.rename(moved)
    assert open_manifest(moved, tmp_path).load(0).size == (24, 24)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "file,label\nc.png,x\n",
            r"table.csv: expected the columns path and label, or path and one per class, got file, label",
        ),
        ("path,split\nc.png,query\n", "expected the columns path and label"),
        ("path,label\n", "table.csv: expected rows, got none"),
        ("", "table.csv: expected the columns"),
        ("path,label\nc.png\n", "table.csv:2: expected 2 fields, as there are columns, got 1"),
        ("path,cat,owl\nc.png,1,0\nd.png,2,0\n", "table.csv:3: column 'cat': expected labels 0 or 1, got '2'"),
        ("path,label,split\nc.png,x,test\n", "table.csv:2: split: expected one of query, train, database, train"),
        ("path,label,split\nc.png,x,query\n", "split: expected images of each part, got no database image"),
        ("path,label,split\nc.png,x,database\n", "split: expected images of each part, got no query image"),
    ],
)
def test_a_malformed_table_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(str(write_csv(tmp_path, text)))


def test_a_table_that_is_none_is_named(tmp_path):
    (tmp_path / "table.parquet").write_text("hello")
    with pytest.raises(VtsearchError, match=r"table.parquet: expected a Parquet file"):
        open_manifest(tmp_path / "table.parquet")
    with pytest.raises(ValueError, match=r"manifest: expected a file ending in .csv or .parquet, got .*table.json"):
        open_manifest(tmp_path / "table.json")
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(FileNotFoundError, match="none"):
            open_manifest(tmp_path / name)


def test_an_image_of_a_table_that_is_missing_is_named_with_its_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"table.csv:3: no such image: .*e\.png"):
        open_manifest(write_csv(tmp_path, "path,label\nc.png,x\ne.png,x\n"))


# ---------------------------------------------------------------------------------------------------------------------
# COCO's annotations


def coco(root):
    return CocoSource(sorted((root / "annotations").glob("*.json")), root)


def test_columns_are_the_categories_by_name_and_bare_images_are_left_out(tmp_path):
    FORMATS["coco"].build(tmp_path)
    source = coco(tmp_path)
    assert source.classes == CLASSES
    assert len(source) == 12
    assert source.id(0) == "train2014/0000.png"
    assert source.id(6) == "val2014/0001.png"


def test_one_folder_may_hold_the_images_of_both(tmp_path):
    FORMATS["coco"].build(tmp_path)
    for folder in ("train2014", "val2014"):
        (tmp_path / "images").mkdir(exist_ok=True)
        for image in (tmp_path / folder).iterdir():
            image.rename(tmp_path / "images" / image.name)
        (tmp_path / folder).rmdir()
    assert coco(tmp_path).id(0) == "images/0000.png"


def test_without_lists_the_split_is_drawn_in_proportion(tmp_path):
    FORMATS["coco"].build(tmp_path)
    for name in ("test.txt", "train.txt"):
        (tmp_path / name).unlink()
    data = open_dataset("mscoco@5000", tmp_path, seed=3)
    assert [len(part) for part in (data.split.query, data.split.train, data.split.database)] == [1, 1, 11]
    assert (
        "not the published mscoco@5000: 1 of 5,000 queries, 1 of 10,000 training images, 11 of 117,218" in data.remark
    )
    assert "3 of 80 classes" in data.remark


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "expected COCO's instances as JSON"),
        ("[]", "expected COCO's instances as JSON"),
        ("[" * 100_000, r"expected COCO's instances as JSON \(RecursionError"),
        ('{"images": []}', r"expected COCO's instances as JSON \(KeyError: 'categories'\)"),
        ('{"images": [], "categories": [], "annotations": [{"image_id": 1}]}', "KeyError: 1"),
        ('{"images": [], "categories": [], "annotations": []}', "expected images with objects, got none"),
    ],
)
def test_another_file_is_no_annotation(tmp_path, content, message):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_x.json").write_text(content)
    with pytest.raises(VtsearchError, match=message):
        coco(tmp_path)


def test_an_object_of_no_category_is_refused(tmp_path):
    FORMATS["coco"].build(tmp_path)
    file = tmp_path / "annotations/instances_val2014.json"
    content = json.loads(file.read_text())
    content["categories"].pop()
    file.write_text(json.dumps(content))
    with pytest.raises(VtsearchError, match="expected objects of its categories, got category 1"):
        coco(tmp_path)


def test_an_annotation_file_or_image_that_is_missing_is_named(tmp_path):
    FORMATS["coco"].build(tmp_path)
    (tmp_path / "val2014/0003.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"instances_val2014.json: no such image: .*val2014/0003.png"):
        coco(tmp_path)
    with pytest.raises(FileNotFoundError, match="none"):
        CocoSource([tmp_path / "none.json"], tmp_path)


def test_a_listed_image_that_has_no_label_is_named(tmp_path):
    made = FORMATS["coco"].build(tmp_path)
    save_image(tmp_path / "val2014/0050.png", 50)
    listed = [*made, replace(made[0], name="val2014/0050.png")]
    FORMATS["lists"].write(tmp_path, listed)
    (tmp_path / "database.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"test.txt: no such image among the labelled ones: 0050.png"):
        open_dataset("mscoco@5000", tmp_path)


# ---------------------------------------------------------------------------------------------------------------------
# NUS-WIDE's label files


def test_the_most_frequent_concepts_are_taken_and_bare_images_left_out(tmp_path):
    FORMATS["nuswide"].build(tmp_path)
    assert NuswideSource(tmp_path, 3).classes == CLASSES
    assert NuswideSource(tmp_path, 81).classes == (*CLASSES, "zebra")
    two = NuswideSource(tmp_path, 2)
    assert two.classes == ("cat", "dog")  # all three have five images: the first by name
    assert len(two) == 8 + 1
    assert two.labels.any(axis=1).all()


def test_images_lie_in_the_folders_of_the_image_list_or_in_one(tmp_path):
    FORMATS["nuswide"].build(tmp_path)
    assert NuswideSource(tmp_path, 3).id(0) == "images/0000.png"
    (tmp_path / "Flickr").mkdir()
    (tmp_path / "images").rename(tmp_path / "Flickr/actor")
    assert NuswideSource(tmp_path, 3).id(0) == "Flickr/actor/0000.png"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Labels_owl.txt", "0\n1\n", "Labels_owl.txt: expected 13 labels, one per image of Imagelist.txt, got 2"),
        ("Labels_owl.txt", "0\n1\n7\n", "Labels_owl.txt: expected labels 0 or 1, got '7'"),
    ],
)
def test_a_label_file_with_a_fault_is_named(tmp_path, name, text, message):
    FORMATS["nuswide"].build(tmp_path)
    (tmp_path / "Groundtruth/AllLabels" / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        NuswideSource(tmp_path, 3)


def test_label_files_without_labels_are_refused(tmp_path):
    FORMATS["nuswide"].build(tmp_path)
    folder = tmp_path / "Groundtruth/AllLabels"
    for file in folder.iterdir():
        file.write_text("0\n" * 13)
    with pytest.raises(VtsearchError, match="expected images with labels, got none"):
        NuswideSource(tmp_path, 3)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(VtsearchError, match=r"expected Labels_\*.txt with a 0 or 1 per image, got none"):
        NuswideSource(tmp_path, 3)


def test_a_missing_image_or_image_list_is_named(tmp_path):
    FORMATS["nuswide"].build(tmp_path)
    (tmp_path / "images/0004.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"Imagelist.txt: no such image: .*images/0004.png"):
        NuswideSource(tmp_path, 3)
    with pytest.raises(FileNotFoundError, match=r"Imagelist\.txt"):
        NuswideSource(tmp_path / "none", 3)


# ---------------------------------------------------------------------------------------------------------------------
# VOC's and MIRFlickr's label files


def test_voc_has_the_images_that_show_a_class_clearly(tmp_path):
    FORMATS["voc2012"].build(tmp_path)
    source = VocSource(tmp_path)
    assert source.classes == CLASSES
    assert len(source) == 12  # neither 9999, which shows a class badly, nor 9998, of another list
    assert source.id(0) == "JPEGImages/0000.jpg"


def test_label_files_of_voc_with_a_fault_are_named(tmp_path):
    with pytest.raises(
        VtsearchError, match=r"Main: expected <class>_trainval.txt with images of the classes, got none"
    ):
        VocSource(tmp_path)
    FORMATS["voc2012"].build(tmp_path)
    (tmp_path / "JPEGImages/0003.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"Main: no such image: .*0003.jpg"):
        VocSource(tmp_path)
    (tmp_path / "ImageSets/Main/dog_trainval.txt").write_text("0000  1\n0001  2\n")
    with pytest.raises(ValueError, match=r"dog_trainval.txt:2: expected a name with 1, 0 or -1, got '0001  2'"):
        VocSource(tmp_path)


def test_mirflickr_has_all_images_with_their_tags(tmp_path):
    FORMATS["mirflickr"].build(tmp_path)
    save_image(tmp_path / "im13.jpg", 13)
    source = MirflickrSource(tmp_path)
    assert source.classes == CLASSES
    assert [source.id(0), source.id(12)] == ["im1.jpg", "im13.jpg"]
    assert source.labels[12].tolist() == [0, 0, 0]


def test_images_of_mirflickr_may_lie_in_a_folder(tmp_path):
    FORMATS["mirflickr"].build(tmp_path)
    (tmp_path / "mirflickr").mkdir()
    for image in tmp_path.glob("im*.jpg"):
        image.rename(tmp_path / "mirflickr" / image.name)
    assert MirflickrSource(tmp_path).id(0) == "mirflickr/im1.jpg"


def test_annotations_of_mirflickr_with_a_fault_are_named(tmp_path):
    with pytest.raises(VtsearchError, match=r"expected mirflickr25k_annotations_v080/\*.txt with numbers of images"):
        MirflickrSource(tmp_path)
    FORMATS["mirflickr"].build(tmp_path)
    for number in (3, 12):
        (tmp_path / f"im{number}.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"no such image: .*im3.jpg"):
        MirflickrSource(tmp_path)
    (tmp_path / "mirflickr25k_annotations_v080/dog.txt").write_text("2\n0\n")
    with pytest.raises(ValueError, match=r"dog.txt:2: expected the number of an image, got '0'"):
        MirflickrSource(tmp_path)
    for image in tmp_path.glob("im*.jpg"):
        image.unlink()
    (tmp_path / "mirflickr25k_annotations_v080/dog.txt").write_text("2\n")
    with pytest.raises(VtsearchError, match=r"expected images im1.jpg, im2.jpg, ..., got none"):
        MirflickrSource(tmp_path)


# ---------------------------------------------------------------------------------------------------------------------
# ImageNet's folders


def test_validation_images_are_queries_and_training_images_the_database(tmp_path):
    FORMATS["imagenet"].build(tmp_path)
    data = open_dataset("imagenet100@1000", tmp_path)
    ids = [data.source.id(position) for position in range(12)]
    assert [name.partition("/")[0] for name in ids] == ["train"] * 9 + ["val"] * 3
    assert data.split.query.tolist() == [9, 10, 11]
    assert data.split.database.tolist() == data.split.train.tolist() == list(range(9))
    assert data.source.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2]


def test_of_more_classes_the_same_ones_are_always_taken(tmp_path):
    FORMATS["imagenet"].build(tmp_path)
    two = ImagenetSource(tmp_path, 2)
    assert len(two.classes) == 2
    assert set(two.classes) < set(CLASSES)
    assert ImagenetSource(tmp_path, 2).classes == two.classes
    assert len(two) == 8


def test_folders_with_a_fault_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="train: expected a folder with one subfolder of images per class"):
        ImagenetSource(tmp_path, 100)
    FORMATS["imagenet"].build(tmp_path)
    (tmp_path / "val/eel").mkdir()
    with pytest.raises(ValueError, match="eel: expected images"):
        ImagenetSource(tmp_path, 100)
    save_image(tmp_path / "val/eel/1.png", 1)
    with pytest.raises(ValueError, match="expected the classes of train in val, got 'eel' in one alone"):
        ImagenetSource(tmp_path, 100)


# ---------------------------------------------------------------------------------------------------------------------
# Small parts


def test_digits_are_read_with_any_white_space():
    assert zeros_and_ones(b"0 1\r\n1\t0\n").tolist() == [0, 1, 1, 0]
    assert zeros_and_ones("").tolist() == []
    with pytest.raises(ValueError, match="expected labels 0 or 1, got '-'"):
        zeros_and_ones("1 -1")


def test_class_numbers_are_places_in_the_order_of_names():
    numbers, names = class_numbers(["b", "a", "b"])
    assert (numbers.tolist(), names) == ([1, 0, 1], ("a", "b"))


def test_csv_files_of_spreadsheets_begin_with_a_mark(tmp_path):
    save_image(tmp_path / "c.png", 0)
    with (tmp_path / "table.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["path", "label"], ["c.png", "x"]])
    assert open_manifest(tmp_path / "table.csv").classes == ("x",)


# ---------------------------------------------------------------------------------------------------------------------
# Labels and columns that are probably not meant


@pytest.mark.parametrize("label", ["", " ", "nan", "NaN", "null", "N/A", "<NA>", "-1", "-1.0"])
def test_a_missing_label_is_no_class(tmp_path, label):
    file = write_csv(tmp_path, f"path,label\nc.png,x\nd.png,{label}\n")
    with pytest.raises(ValueError, match=r"table.csv:3: label: expected the name or number of a class, got '"):
        open_manifest(file)
    told = []
    source = ManifestSource(file, report=lambda kind, _fault: told.append(kind))
    assert (told, source.classes, len(source)) == (["labels"], ("x",), 1)


def test_a_missing_label_of_parquet_is_no_class(tmp_path):
    save_image(tmp_path / "c.png", 0)
    for column in (pa.array(["x", None]), pa.array([1.0, float("nan")]), pa.array([1, -1])):
        pq.write_table(pa.table({"path": ["c.png", "c.png"], "label": column}), tmp_path / "t.parquet")
        with pytest.raises(ValueError, match=r"t.parquet:2: label: expected the name or number of a class"):
            open_manifest(tmp_path / "t.parquet")


def test_names_that_differ_in_case_or_blanks(tmp_path):
    source = open_manifest(write_csv(tmp_path, "path,label\na b.png,cat\nc.png,Cat\nd.png, cat \n"))
    assert source.classes == ("Cat", "cat")
    assert source.remarks == ("classes: names that differ only in case are different classes: 'Cat' and 'cat'",)


def test_beside_a_label_other_columns_are_not_read_and_this_is_told(tmp_path):
    file = write_csv(tmp_path, "path,label,outdoor,split\na b.png,cat,1,query\nc.png,cat,0,database\n")
    source = open_manifest(file)
    assert (source.classes, source.labels.tolist()) == (("cat",), [0, 0])
    assert source.remarks == (f"{file}: with a column label, other columns are not read: outdoor",)


def test_the_column_that_is_no_class_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"table.csv:2: column 'width': .* got '640'; without a column label every"):
        open_manifest(write_csv(tmp_path, "path,cat,width\nc.png,1,640\n"))


def test_blanks_after_commas_do_not_count(tmp_path):
    source = open_manifest(write_csv(tmp_path, "path, cat, owl\nc.png, 1, 0\nd.png, 0, 1\n"))
    assert (source.classes, source.labels.tolist()) == (("cat", "owl"), [[1, 0], [0, 1]])


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected columns of different names, got 'cat' 2 times"):
        open_manifest(write_csv(tmp_path, "path,cat,cat\nc.png,1,0\n"))


def test_a_broken_table_is_named_with_its_line(tmp_path):
    with pytest.raises(ValueError, match=r"table.csv:2: expected a table of comma-separated values: field larger"):
        open_manifest(write_csv(tmp_path, f"path,label\nc.png,{'x' * 140_000}\n"))


def test_paths_of_a_table_are_stripped(tmp_path):
    source = open_manifest(write_csv(tmp_path, "path,label\n/author/c.png,x\n"), strip_prefix="/author/")
    assert source.id(0) == "c.png"


def test_paths_of_a_protocol_are_stripped(tmp_path):
    made = FORMATS["lists"].build(tmp_path)
    FORMATS["lists"].write(tmp_path, [replace(item, name=f"/author/{item.name}") for item in made])
    data = open_dataset("mirflickr", tmp_path, strip_prefix="/author")
    assert data.source.path(0) == tmp_path / made[0].name
    assert open_dataset(str(tmp_path), strip_prefix="/author").source.id(0) == made[0].name


def test_published_protocols_keep_their_pixels_and_own_images_are_upright(tmp_path):
    for form in (*PROTOCOL, "lists", "csv", "folders"):
        FORMATS[form].build(tmp_path / form)
        if form in PROTOCOL:
            assert open_dataset(PROTOCOL[form], tmp_path / form).source.pixel_rule == "published"
        else:
            assert open_dataset(str(tmp_path / form)).source.pixel_rule == "upright"
    assert open_dataset("mirflickr", tmp_path / "lists").source.pixel_rule == "published"
    assert open_dataset("mirflickr", tmp_path / "csv").source.pixel_rule == "published"
    assert DigitsSource.pixel_rule == Cifar10Source.pixel_rule == "published"
