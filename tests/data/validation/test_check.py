from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from dataset_fixtures import FORMATS, cifar10, write_cifar10

from vtsearch.data import PROTOCOLS, RetrievalProtocol, open_dataset
from vtsearch.data.protocols import PublishedSplit
from vtsearch.data.sources.image_folder import ImageFolderSource
from vtsearch.data.validation.check import check_dataset

SOURCES = ("coco", "nuswide", "imagenet", "voc2012", "mirflickr")
LISTED = ["lists", "class lists", "pairs", "csv", "parquet", "coco", "nuswide", "voc2012", "mirflickr"]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A protocol of one's own in the table, of twelve images, and a whole copy of it."""

    def build(name, **changes):
        form = FORMATS[name]
        published = PublishedSplit(query=3, train=6, database=9, classes=3, lists="small")
        queries, train = (1, 2) if name == "imagenet" else (3, 6)
        protocol = RetrievalProtocol(
            name="small@9",
            source=name if name in SOURCES else "voc2012",
            k=9,
            queries=queries,
            train=train,
            database="rest+train",
            published=replace(published, **changes),
        )
        monkeypatch.setitem(PROTOCOLS, "small@9", replace(protocol, draw="classes" if name == "imagenet" else "sizes"))
        return tmp_path / "copy", form.build(tmp_path / "copy")

    return build


def found(root, name="small@9", **options):
    return check_dataset(name, root, **options)


def levels(inspection):
    return {(finding.check, finding.level) for finding in inspection.findings}


def errors(inspection):
    """The first error of each check."""
    return {finding.check: finding for finding in reversed(inspection.findings) if finding.level == "error"}


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "folders"])
def test_a_whole_copy_is_clean_in_every_format(small, form):
    root, _ = small(form)
    inspection = found(root)
    assert inspection.is_clean
    assert {level for _, level in levels(inspection)} == {"ok"}
    assert inspection.findings[0].text == "3 query, 6 train, 9 database, 3 classes, as published"


def test_a_whole_folder_per_class_is_clean_and_drawn(tmp_path):
    FORMATS["folders"].build(tmp_path)
    inspection = check_dataset(str(tmp_path), seed=4)
    assert inspection.is_clean
    texts = [finding.text for finding in inspection.findings]
    assert texts[0] == "3 query, 9 train, 9 database, 3 classes; nothing is published to compare with"
    assert texts[-1] == "drawn with seed 4: no list says who is query, train and database"


@pytest.mark.parametrize("form", LISTED)
def test_missing_images_are_counted_and_named(small, form):
    root, made = small(form)
    gone = [made[5].name, made[10].name]
    for name in gone:
        (root / name).unlink()
    inspection = found(root)
    fault = errors(inspection).pop("files")
    assert fault.text == "2 of 12 images are missing"
    assert fault.count == 2
    assert all(any(name in example for example in fault.examples) for name in gone)
    assert not inspection.is_clean


def test_a_missing_image_of_class_folders_shows_in_the_counts(small):
    root, made = small("imagenet")
    (root / made[5].name).unlink()
    assert errors(found(root))["counts"].examples == ("database: 8 of 9",)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("quick", [False, True])
def test_truncated_images_are_found_unless_only_headers_are_looked_at(small, form, quick):
    root, made = small(form)
    for number, size in ((4, 300), (7, 0)):
        (root / made[number].name).write_bytes((root / made[number].name).read_bytes()[:size])
    name = str(root) if form == "folders" else "small@9"
    fault = errors(check_dataset(name, root, quick=quick))["files"]
    assert fault.text == f"{1 if quick else 2} of 12 images cannot be read"
    assert made[7].name in fault.examples[-1]


@pytest.mark.parametrize("form", ["lists", "class lists", "pairs", "csv", "parquet"])
def test_missing_lines_show_in_the_counts(small, form):
    root, made = small(form)
    FORMATS[form].write(root, [*made[1:5], *made[6:]])
    assert errors(found(root))["counts"].examples == ("query: 2 of 3", "train: 5 of 6", "database: 8 of 9")


@pytest.mark.parametrize("form", LISTED)
def test_a_query_that_is_a_training_image_leaks(small, form):
    root, made = small(form)
    leaking = [*made, replace(made[1], parts=("train",) if form in SOURCES else ("train", "database"))]
    if form in SOURCES:  # what the lists say is one thing, the labels are another
        FORMATS["lists"].write(root, leaking)
        (root / "database.txt").unlink()
    else:
        FORMATS[form].write(root, leaking)
    fault = errors(found(root))["leakage"]
    assert fault.text == "1 queries are train images too"
    assert fault.examples == (made[1].name,)


@pytest.mark.parametrize("form", FORMATS)
def test_a_query_under_another_name_leaks(small, form):
    root, made = small(form)
    name = str(root) if form == "folders" else "small@9"
    split = open_dataset(name, root)
    query, answer = (split.source.path(part[0]) for part in (split.split.query, split.split.database))
    shutil.copy(query, answer)
    fault = errors(check_dataset(name, root))["leakage"]
    assert "under another name" in fault.text
    assert fault.examples[0].endswith(made[0].name.rpartition("/")[2]) or query.name in fault.examples[0]
    assert ("leakage", "ok") in levels(check_dataset(name, root, quick=True))


@pytest.mark.parametrize("form", ["lists", "class lists", "pairs"])
def test_a_line_that_comes_twice_is_found(small, form):
    root, made = small(form)
    FORMATS[form].write(root, [*made, made[4]])
    assert errors(found(root))["repeats"].text == "1 images are listed more than once as train"


@pytest.mark.parametrize("form", ["lists", "csv", "coco"])
def test_an_image_with_two_names_in_a_part_is_worth_a_warning(small, form):
    root, made = small(form)
    shutil.copy(root / made[5].name, root / made[10].name)
    inspection = found(root)
    assert ("repeats", "warn") in levels(inspection)
    assert ("labels", "warn") in levels(inspection)  # the two have different labels
    assert inspection.is_clean


MISLABEL = {
    "lists": lambda root: edit(root / "database.txt", " 1 0 0", " 1 0"),
    "class lists": lambda root: edit(root / "database.txt", " 0\n", " cat\n"),
    "pairs": lambda root: edit(root / "database_label.txt", "1 0 0", "2 0 0"),
    "csv": lambda root: edit(root / "manifest.csv", ",1,0,0,train", ",1,0,yes,train"),
    "nuswide": lambda root: edit(root / "Groundtruth/AllLabels/Labels_zebra.txt", "0\n", ""),
    "voc2012": lambda root: edit(root / "ImageSets/Main/cat_trainval.txt", " 1\n", " yes\n"),
    "mirflickr": lambda root: edit(root / "mirflickr25k_annotations_v080/cat.txt", "1\n", "one\n"),
    "parquet": lambda root: pq.write_table(
        (table := pq.read_table(root / "manifest.parquet")).set_column(1, "cat", [[7] * table.num_rows]),
        root / "manifest.parquet",
    ),
}


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("form", [name for name in MISLABEL if name != "parquet"])
def test_a_label_with_a_fault_is_named_with_its_line(small, form):
    root, _ = small(form)
    MISLABEL[form](root)
    inspection = found(root)
    (fault,) = [finding for check, finding in errors(inspection).items() if check in ("labels", "open")]
    expected = r":\d+: (column 'owl': )?expected|zebra.txt: expected 13 labels"
    assert any(re.search(expected, example) for example in fault.examples)


def test_a_table_full_of_faults_cannot_be_opened_and_says_why(small):
    root, _ = small("parquet")
    MISLABEL["parquet"](root)
    (fault,) = found(root).findings
    assert (fault.check, fault.level, fault.count) == ("open", "error", 13)
    assert "manifest.parquet:1: column 'cat': expected labels 0 or 1, got '7'" in fault.examples[1]


@pytest.mark.parametrize("form", ["lists", "class lists", "pairs"])
def test_two_labels_for_one_image_are_found(small, form):
    root, made = small(form)
    other = replace(made[4], labels=(1, 0, 0) if made[4].labels[0] == 0 else (0, 1, 0), parts=("train",))
    FORMATS[form].write(root, [*made[:4], replace(made[4], parts=("database",)), other, *made[5:]])
    assert "has other labels than at" in errors(found(root))["labels"].examples[0]


def test_labels_of_an_unknown_category_are_named(small):
    root, _ = small("coco")
    file = root / "annotations/instances_val2014.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["category_id"] = 1000
    file.write_text(json.dumps(content))
    assert "expected objects of its categories, got category 1000" in errors(found(root))["open"].examples[0]


def test_a_class_that_has_no_queries_is_named(small):
    root, _ = small("imagenet")
    shutil.rmtree(root / "val/owl")
    assert "'owl' in one alone" in errors(found(root))["open"].examples[0]


def test_another_label_width_shows_in_the_counts(small):
    root, made = small("lists")
    FORMATS["lists"].write(root, [replace(item, labels=(*item.labels, 0)) for item in made])
    inspection = found(root)
    assert errors(inspection)["counts"].examples == ("classes: 4 of 3",)
    assert "1 of 4 classes have no image" in {finding.text for finding in inspection.findings}


def test_images_without_a_label_are_worth_a_warning(small):
    root, made = small("lists")
    FORMATS["lists"].write(root, [replace(made[0], labels=(0, 0, 0)), *made[1:]])
    inspection = found(root)
    assert inspection.is_clean
    (warning,) = [finding for finding in inspection.findings if finding.level == "warn"]
    assert warning.text.startswith("1 images have no label")
    assert warning.examples == (made[0].name,)


def test_the_published_lists_are_known_by_their_hash(small):
    root, made = small("lists")
    digest = hashlib.sha256((root / "test.txt").read_bytes()).hexdigest()[:16]
    PROTOCOLS["small@9"] = replace(
        PROTOCOLS["small@9"],
        published=PublishedSplit(query=3, train=6, database=9, classes=3, sha256={"query": digest, "train": "0" * 16}),
    )
    inspection = found(root)
    texts = [finding.text for finding in inspection.findings if finding.check == "split"]
    assert texts[0] == f"test.txt is the published list (sha256 {digest}...)"
    assert texts[1].startswith("train.txt is not the published list: sha256 ")
    assert inspection.is_clean
    FORMATS["lists"].write(root, [replace(made[0], labels=(0, 1, 0)), *made[1:]])
    assert ("split", "ok") not in levels(found(root))


def test_training_images_have_their_place_in_or_out_of_the_database(small):
    root, _ = small("lists")
    PROTOCOLS["small@9"] = replace(PROTOCOLS["small@9"], database="rest")
    assert errors(found(root))["counts"].text == "6 of 6 training images are in the database, and 0 belong there"


BIG = ["mscoco@5000", "nuswide21@5000", "nuswide81@5000", "imagenet100@1000", "mirflickr", "voc2012"]


@pytest.mark.parametrize(
    ("form", "name"),
    [(f, n) for f in FORMATS for n in BIG if f not in ("folders", *SOURCES) or PROTOCOLS[n].source == f],
)
def test_a_small_copy_is_never_taken_for_the_published_protocol(small, form, name):
    root, _ = small(form)
    inspection = found(root, name)
    assert not inspection.is_clean
    published = PROTOCOLS[name].published
    assert f"query: 3 of {published.query:,}" in errors(inspection)["counts"].examples
    assert inspection.page.startswith("http")


def test_a_place_without_the_data_says_what_is_looked_for_and_who_has_it(tmp_path):
    inspection = found(tmp_path, "mscoco@5000")
    (fault,) = inspection.findings
    assert "expected annotations/instances_*.json" in fault.examples[0]
    assert inspection.page == "https://cocodataset.org/#download"


def test_no_place_at_all_says_how_to_name_one(monkeypatch):
    monkeypatch.delenv("VTSEARCH_DATA", raising=False)
    assert "set VTSEARCH_DATA" in found(None, "mscoco@5000").findings[0].examples[0]


def test_an_unknown_protocol_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'mscoco@5000'"):
        check_dataset("coco@5000", tmp_path)


def test_progress_counts_every_image(small):
    root, _ = small("lists")
    seen = []
    found(root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 12) for number in range(1, 13)]


# ---------------------------------------------------------------------------------------------------------------------
# CIFAR-10, whose images are rows of tables


@pytest.fixture
def tables(monkeypatch, tmp_path):
    cifar10(tmp_path)
    protocol = RetrievalProtocol(
        name="small@9",
        source="cifar10",
        k=None,
        queries=1,
        train=2,
        database="rest",
        published=PublishedSplit(query=10, train=20, database=90, classes=10, per_class=12),
    )
    monkeypatch.setitem(PROTOCOLS, "small@9", protocol)
    return tmp_path, tmp_path / "cifar10/plain_text/test-00000-of-00001.parquet"


def test_a_whole_copy_of_tables_is_clean(tables):
    assert {level for _, level in levels(found(tables[0]))} == {"ok"}


@pytest.mark.parametrize(
    ("change", "check", "text"),
    [
        (lambda images, labels: (images[1:], labels[1:]), "counts", "not the published numbers"),
        (lambda images, labels: ([b"broken", *images[1:]], labels), "files", "1 of 120 images cannot be read"),
        (lambda images, labels: (images, [labels[1], *labels[1:]]), "labels", "2 classes have not the published 12"),
    ],
)
def test_damaged_tables_are_found(tables, change, check, text):
    root, file = tables
    columns = pq.read_table(file).to_pydict()
    write_cifar10(file, *change([cell["bytes"] for cell in columns["img"]], columns["label"]))
    assert text in errors(found(root))[check].text


def test_a_query_in_another_row_of_a_table_leaks(tables):
    root, _ = tables
    data = open_dataset("small@9", root)
    query, answer = (int(part[0]) for part in (data.split.query, data.split.database))
    files = [tables[1].with_name("train-00000-of-00001.parquet"), tables[1]]
    columns = [pq.read_table(file).to_pydict() for file in files]
    cells = [cell["bytes"] for column in columns for cell in column["img"]]
    cells[answer] = cells[query]
    for file, column, images in zip(files, columns, (cells[:100], cells[100:]), strict=True):
        write_cifar10(file, images, column["label"])
    fault = errors(found(root))["leakage"]
    assert f"{data.source.id(query)} = {data.source.id(answer)}" in fault.examples


# ---------------------------------------------------------------------------------------------------------------------
# A check survives what it is to find


@pytest.mark.parametrize("quick", [False, True])
def test_every_file_that_cannot_be_read_is_named_with_its_reason(tmp_path, quick):
    made = FORMATS["folders"].build(tmp_path)
    for item in made[:7]:
        (tmp_path / item.name).write_bytes(b"no image")
    fault = errors(check_dataset(str(tmp_path), quick=quick))["files"]
    assert fault.text == "7 of 12 images cannot be read"
    assert all(any(item.name in example for example in fault.examples) for item in made[:7])
    assert all("not an image of a kind that Pillow opens" in example for example in fault.examples)


@pytest.mark.parametrize("fault", [MemoryError(), RecursionError("deep"), EOFError(), struct.error("short"), OSError()])
def test_any_exception_of_an_image_is_a_finding(tmp_path, monkeypatch, fault):
    FORMATS["folders"].build(tmp_path)

    def fail(_source, _position):
        raise fault

    monkeypatch.setattr(ImageFolderSource, "load", fail)
    found = errors(check_dataset(str(tmp_path)))["files"]
    assert found.count == 12
    assert found.examples[0].startswith("cat/0000.png: ")


@pytest.mark.parametrize("fault", [MemoryError(), RecursionError("deep"), OverflowError(), KeyError("x")])
def test_any_exception_at_opening_is_a_finding(tmp_path, monkeypatch, fault):
    def fail(*_arguments, **_options):
        raise fault

    monkeypatch.setattr("vtsearch.data.validation.check.open_images", fail)
    (found,) = check_dataset(str(tmp_path)).findings
    assert (found.check, found.level) == ("open", "error")
    assert found.examples[0]


def test_what_a_source_left_out_is_worth_a_warning(tmp_path):
    FORMATS["folders"].build(tmp_path)
    (tmp_path / "cat/a.heic").write_text("x")
    inspection = check_dataset(str(tmp_path))
    assert inspection.is_clean
    (warning,) = [finding for finding in inspection.findings if finding.level == "warn"]
    assert (warning.check, "1 files: 1 .heic" in warning.text) == ("remarks", True)


def test_prefixes_are_stripped(tmp_path):
    made = FORMATS["lists"].build(tmp_path)
    FORMATS["lists"].write(tmp_path, [replace(item, name=f"/author/{item.name}") for item in made])
    assert check_dataset(str(tmp_path), strip_prefix="/author").is_clean
    assert errors(check_dataset(str(tmp_path)))["files"].count == 12
