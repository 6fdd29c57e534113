"""Damaged and hostile indexes: refused at opening, or by ``verify``, or the damage decides no answer."""

from __future__ import annotations

import sqlite3

import damaged_files
import numpy as np
import pytest
from thorough import amount

from vtsearch import reference
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.index.store import _sign


def codes_of(seed: int, n: int) -> np.ndarray:
    return reference.pack(np.random.default_rng(seed).integers(0, 2, (n, 64)))


@pytest.fixture
def folder(tmp_path):
    with Index.create(tmp_path / "index", 64) as index:
        index.add(codes_of(0, 10), labels=np.arange(10), metadata={"row": range(10)})
        index.add(codes_of(1, 10), labels=np.arange(10))
    return tmp_path / "index"


def file_of(folder, part="codes", number=0):
    with Index.open(folder) as index:
        return folder / part / index.segments[number].files[part]


@pytest.mark.parametrize("part", ["codes", "items", "metadata"])
@pytest.mark.parametrize("keep", [0, 50, 130])
def test_a_truncated_file_is_named(folder, part, keep):
    path = file_of(folder, part)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(VtsearchError, match=f"{path}: expected {size} bytes, got {keep}"):
        Index.open(folder)


@pytest.mark.parametrize("part", ["codes", "items", "metadata"])
def test_a_missing_file_is_named(folder, part):
    path = file_of(folder, part)
    path.unlink()
    with pytest.raises(VtsearchError, match=f"{path}: expected a file of the index"):
        Index.open(folder)


def test_an_array_of_another_shape_is_named(folder):
    path = file_of(folder)
    np.save(path, np.zeros((20, 4), np.uint8))
    with pytest.raises(VtsearchError, match=rf"{path}: expected an array \(10, 8\) of |u1, got another header"):
        Index.open(folder)


@pytest.mark.parametrize("part", ["codes", "items", "metadata"])
def test_a_changed_bit_is_found_by_verify_alone(folder, part):
    path = file_of(folder, part)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with Index.open(folder) as index, pytest.raises(VtsearchError, match=f"{path}: expected sha256"):
        index.verify()


def damage(folder, statement, *, signed=False):
    db = sqlite3.connect(folder / "index.sqlite")
    db.execute(statement)
    if signed:
        _sign(db)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA application_id = 7", "expected an index, got another SQLite file"),
        ("PRAGMA user_version = 99", "expected index format 2, got 99, of a later vtsearch"),
        ("PRAGMA user_version = 1", "expected index format 2, got 1, of an earlier vtsearch: encode its images again"),
        ("DELETE FROM about WHERE name = 'bits'", "damaged: its checksum is not that of its rows"),
        ("DELETE FROM about WHERE name = 'checksum'", "damaged: its checksum is not that of its rows"),
        ("UPDATE about SET value = '63' WHERE name = 'bits'", "damaged"),
        ("UPDATE about SET value = x'ff' WHERE name = 'bits'", "damaged"),
        ("INSERT INTO fingerprints VALUES ('model', 'm')", "damaged"),
        ("DELETE FROM segments WHERE number = 2", "damaged"),
        ("UPDATE segments SET number = 3 - number + 9", "damaged"),
        ("DROP TABLE segments", "no such table: segments"),
    ],
)
def test_a_strange_database_is_named(folder, statement, message):
    damage(folder, statement)
    with pytest.raises(VtsearchError, match=f"index.sqlite: {message}"):
        Index.open(folder)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM about WHERE name = 'bits'", "expected the tables of an index, got KeyError"),
        ("UPDATE about SET value = '\"64\"' WHERE name = 'bits'", "expected the tables of an index, got TypeError"),
        ("UPDATE about SET value = '-8' WHERE name = 'bits'", "expected the tables of an index, got ValueError"),
        ("UPDATE about SET value = '{' WHERE name = 'labels'", "expected the tables of an index, got JSONDecodeError"),
        ("UPDATE about SET value = '65529' WHERE name = 'bits'", "bits: expected at most 65528, got 65529"),
        (
            """UPDATE about SET value = '{"kind": "multi", "classes": -8}' WHERE name = 'labels'""",
            "classes: expected at least 1, got -8",
        ),
        (
            """UPDATE about SET value = '{"kind": "many", "classes": 8}' WHERE name = 'labels'""",
            "labels: expected one of none, single, multi, got 'many'",
        ),
        ("UPDATE about SET value = '{}' WHERE name = 'labels'", "expected the tables of an index, got TypeError"),
        ("UPDATE about SET value = '\"../../x\"' WHERE name = 'next'", "expected 32 hexadecimal digits"),
        ("UPDATE segments SET name = '../' || name WHERE number = 1", "expected 32 hexadecimal digits"),
        ("UPDATE segments SET codes = '../' || name WHERE number = 1", "expected 32 hexadecimal digits"),
        ("INSERT INTO replaced VALUES ('../codes.npy')", "expected a file that no segment has"),
        (
            "INSERT INTO replaced SELECT 'codes/' || codes || '.npy' FROM segments",
            "expected a file that no segment has",
        ),
        ("UPDATE segments SET items = 'many' WHERE number = 1", "expected the tables of an index, got TypeError"),
        ("UPDATE segments SET items = -1 WHERE number = 1", "expected the tables of an index, got ValueError"),
        ("UPDATE segments SET items = 11 WHERE number = 1", "expected at most 10 items, got 11"),
        ("UPDATE segments SET rows = 4611686018427387904", r"expected \d+ bytes, got 208"),
        ("UPDATE about SET value = '65528' WHERE name = 'bits'", r"expected \d+ bytes, got 208"),
    ],
)
def test_hostile_rows_with_a_checksum_that_holds_are_named(folder, statement, message):
    damage(folder, statement, signed=True)
    with pytest.raises(VtsearchError, match=message):
        Index.open(folder)


@pytest.mark.parametrize("content", [b"", b"not SQLite at all" * 100])
def test_a_corrupt_database_is_named(folder, content):
    (folder / "index.sqlite").write_bytes(content)
    with pytest.raises(VtsearchError, match=r"index\.sqlite: "):
        Index.open(folder)


def test_pages_of_zeros_are_named(folder):
    path = folder / "index.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(VtsearchError, match=r"index\.sqlite: "):
        Index.open(folder)


def test_a_folder_that_is_no_index_is_named(tmp_path):
    with pytest.raises(VtsearchError, match="expected an index"):
        Index.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such index"):
        Index.open(tmp_path / "nowhere")


def overwritten(folder, number, content):
    """Item column ``number`` of the first segment: fill it with bytes, without a checksum that fits."""
    path = file_of(folder, "items")
    with path.open("rb") as file:
        for _ in range(number):
            np.load(file)
        start = file.tell() + 128
        size = np.load(file).nbytes
    with path.open("r+b") as file:
        file.seek(start)
        file.write((content * size)[:size])


@pytest.mark.parametrize("content", [b"\x00", b"\xff", b"\x7f", bytes(range(256))], ids=["0", "255", "127", "all"])
@pytest.mark.parametrize("number", range(4))
def test_no_damage_of_items_escapes_as_another_error(folder, number, content):
    overwritten(folder, number, content)
    index = Index.open(folder)
    questions = [
        index.ids,
        index.labels,
        index.metadata,
        lambda: index.where("row > 3"),
        lambda: index.where("id > '3'"),
        lambda: index.ids_at(range(20)),
        lambda: index.position("7"),
        lambda: index.search(codes_of(0, 2)),
        lambda: index.deduplicate(0),
        lambda: index.add(codes_of(3, 2), labels=[1, 2]),
    ]
    for question in questions:
        try:
            question()
        except (VtsearchError, KeyError) as error:
            assert isinstance(error, VtsearchError) or str(error) == "'7'"  # noqa: PT017
    with pytest.raises(VtsearchError, match=str(file_of(folder, "items"))):
        index.verify()


def test_damaged_ids_are_named(folder):
    overwritten(folder, 0, b"\xff")
    for question in (Index.ids, lambda index: index.ids_at([0]), lambda index: index.search(codes_of(0, 1))):
        with pytest.raises(VtsearchError, match=f"{file_of(folder, 'items')}: expected the ids of 10 items"):
            question(Index.open(folder))


@pytest.mark.parametrize("start", [0, 100, 4096, 6000])
def test_damaged_metadata_are_named(folder, start):
    path = file_of(folder, "metadata")
    content = path.read_bytes()
    path.write_bytes(content[:start] + b"\xff" * (len(content) - start))
    asked = (lambda index: index.where("row > 3"), lambda index: index.metadata_at([9]))
    questions = [Index.metadata, *asked, Index.verify]
    found = []
    for question in questions:
        try:
            found.append(question(Index.open(folder)))
        except VtsearchError as error:
            found.append(str(path) in str(error))
    assert found[-1] is True
    assert False not in found


def test_another_table_in_a_file_of_metadata_is_named(folder):
    path = file_of(folder, "metadata")
    size = path.stat().st_size
    with sqlite3.connect(path) as db:
        db.execute("CREATE INDEX other ON items (id)")
    db.close()
    content = path.read_bytes()
    path.write_bytes(content[:size])
    with pytest.raises(VtsearchError, match=str(path)):
        Index.open(folder)


# Every byte of a small index flipped, every file cut at every length.


def small_index(path, labels):
    described = {"classes": ("cat", "dog"), "description": {"images": "here"}, "fingerprints": {"model": "m"}}
    with Index.create(path, 12, **described) as index:
        for start in (0, 2):
            codes = reference.pack(np.random.default_rng(start).integers(0, 2, (2, 12)))
            metadata = {"row": [start, None]} if start else None
            index.add(codes, [f"{start}", f"é{start}"], labels[start : start + 2], metadata)
        index.decide([("keep", ["2"]), ("distinct", ["0", "é0"])])


LABELS = {"single": np.array([3, -1, 4, 1]), "0/1": np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])}


def answers(index):
    """All answers of an index, but for the names that its own files have."""
    labels = index.labels()
    queries = np.array([[0, 0], [255, 240]], np.uint8)
    return [
        len(index),
        index.bits,
        index.fingerprints,
        index.classes,
        index.description,
        index.ids(),
        labels.tolist(),
        labels.dtype,
        index.metadata(),
        index.where("row > 1").tolist(),
        index.decisions(),
        index.codes().tolist(),
        [index.position(name) for name in ("0", "é0", "2", "é2")],
        *[part.tolist() if isinstance(part, np.ndarray) else part for part in index.search(queries)],
        index.deduplicate(3).representatives.tolist(),
        index.evaluate(queries, labels[:2]).mean_average_precision,
    ]


def outcomes_of_damage(tmp_path, form, strides):
    folder = tmp_path / "index"
    small_index(folder, LABELS[form])
    return damaged_files.outcomes(folder, answers, answers(Index.open(folder)), lambda path: strides[path.suffix])


@pytest.mark.parametrize("form", LABELS)
def test_no_damaged_byte_gives_a_silently_wrong_answer(tmp_path, form):
    counts = outcomes_of_damage(tmp_path, form, {".npy": 61, ".sqlite": 499})
    assert counts["SILENTLY WRONG"] == 0
    assert min(counts[name] for name in ("refused at opening", "refused by verify", "answers unchanged")) > 0


@pytest.mark.slow
@pytest.mark.parametrize("form", LABELS)
def test_no_damaged_byte_at_all_gives_a_silently_wrong_answer(tmp_path, form):
    step = amount(23, 1)
    counts = outcomes_of_damage(tmp_path, form, {".npy": step, ".sqlite": step})
    print(f"\n{form} labels, {sum(counts.values())} damaged files: {dict(counts)}")  # noqa: T201
    assert counts["SILENTLY WRONG"] == 0
