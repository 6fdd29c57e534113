"""``.npz``, ``.npy`` and ``.mat``: arrays as the literature's scripts write them, and ours back."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from exchange_fixtures import DESCRIPTION, FINGERPRINTS, STRANGE_IDS, assert_equal_content, random_codes

from vtsearch.codes import pack, unpack
from vtsearch.errors import VtsearchError
from vtsearch.exchange import arrays, export, read
from vtsearch.exchange.arrays import Role, role_of
from vtsearch.index import Index
from vtsearch.metrics import mean_average_precision
from vtsearch.ranking import rank

ABOUT = {"fingerprints": FINGERPRINTS, "description": DESCRIPTION, "classes": ["cat", "dög"]}
FORMATS = ["npz", "mat"]


@pytest.fixture(autouse=True)
def _scipy(request):
    if "mat" in str(getattr(request.node, "callspec", "")):
        pytest.importorskip("scipy.io", reason="needs scipy: pip install 'vtsearch[mat]'")


def save(path, **content):
    if path.suffix == ".mat":
        import scipy.io

        scipy.io.savemat(path, content)
    else:
        np.savez(path, **content)
    return path


def load(path):
    if path.suffix == ".mat":
        import scipy.io

        return scipy.io.loadmat(path)
    return np.load(path)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("bits", [1, 8, 12, 64, 256])
@pytest.mark.parametrize("labels", ["none", "single", "multi"])
def test_a_round_trip_keeps_all_but_metadata(make_index, exchanged, ending, bits, labels):
    ids = STRANGE_IDS + [f"{i}.jpg" for i in range(40)]
    index = make_index(50, bits, ids=ids, labels=labels, **ABOUT)
    assert_equal_content(index, exchanged(index, f"codes.{ending}"))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("n", [0, 1])
def test_no_item_and_one(make_index, exchanged, ending, n):
    index = make_index(n, 12, labels="multi" if n else "none", **ABOUT)
    assert_equal_content(index, exchanged(index, f"codes.{ending}"))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("ids", [["", "a"], ["a ", " b"], ["7", "8"]])
def test_ids_with_spaces_and_empty_ones(make_index, exchanged, ending, ids):
    assert exchanged(make_index(2, ids=ids), f"codes.{ending}").ids() == ids


def test_ids_that_a_format_cannot_hold_are_refused(make_index, tmp_path):
    pytest.importorskip("scipy.io", reason="needs scipy: pip install 'vtsearch[mat]'")
    with pytest.raises(ValueError, match="ids: expected ids that do not end in NUL"):
        export(make_index(2, ids=["a\0", "b"]), tmp_path / "codes.npz")
    with pytest.raises(ValueError, match="ids: expected Unicode text"):
        export(make_index(2, ids=["\udcff", "b"], name="other"), tmp_path / "codes.mat")
    with pytest.raises(ValueError, match="ids: expected ids without NUL"):
        export(make_index(2, ids=["a\0b", "b"], name="third"), tmp_path / "codes.mat")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "source", "third"]


@pytest.mark.parametrize("ending", FORMATS)
def test_signs_and_labels_of_an_export_give_our_answers_in_numpy(make_index, tmp_path, ending):
    """The way of the literature's scripts: half of bits minus the inner product."""
    index = make_index(200, 24, labels="multi", metadata=True)
    exported = export(index, tmp_path / f"codes.{ending}")
    assert exported.left_out == ("metadata",)
    content = load(tmp_path / f"codes.{ending}")
    signs, queries = content["B"].astype(float), random_codes(5, 24, seed=2)
    asked = 2.0 * unpack(queries, 24) - 1
    distances = (24 - asked @ signs.T) / 2
    assert (np.sort(distances, axis=1) == rank(queries, index.codes()).distances).all()
    assert (content["labels"] == index.labels()).all()
    assert content["codes"].tobytes() == index.codes().tobytes()
    assert int(np.squeeze(content["bits"])) == 24


def test_npy_holds_the_packed_codes(make_index, tmp_path):
    index = make_index(50, 12, labels="single", **ABOUT)
    exported = export(index, tmp_path / "codes.npy")
    assert exported.left_out == ("labels", "fingerprints", "classes", "description")
    array = np.load(tmp_path / "codes.npy")
    assert (array.dtype, array.shape) == (np.uint8, (50, 2))
    content = read(tmp_path / "codes.npy", bits=12)
    assert content.codes.tobytes() == array.tobytes() == index.codes().tobytes()
    assert (content.ids, content.labels, content.metadata) == (None, None, {})
    assert read(export(make_index(0, name="no"), tmp_path / "no.npy").target).bits == 64


NAMES = {
    "codes": ("codes", ""),
    "B": ("codes", ""),
    "hash_code": None,
    "q_B": ("codes", "query"),
    "qB": ("codes", "query"),
    "retrieval_B": ("codes", "database"),
    "rB": ("codes", "database"),
    "r_img": ("codes", "database"),
    "r_l": ("labels", "database"),
    "retrieval_L": ("labels", "database"),
    "database_code": ("codes", "database"),
    "database_labels": ("labels", "database"),
    "validation_code": ("codes", "query"),
    "trn_binary": ("codes", "train"),
    "tst_label": ("labels", "query"),
    "B_tst": ("codes", "query"),
    "L_trn": ("labels", "train"),
    "labels": ("labels", ""),
    "param": None,
    "q": None,
    "codes_of_life": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_literature_are_understood(name):
    assert role_of(name) == (None if NAMES[name] is None else Role(*NAMES[name]))


KINDS = {
    "signs as floats": lambda bits: 2.0 * bits - 1,
    "signs as int8": lambda bits: 2 * bits.astype(np.int8) - 1,
    "signs as int64": lambda bits: 2 * bits.astype(np.int64) - 1,
    "bits as floats": lambda bits: bits.astype(np.float32),
    "bits as bool": lambda bits: bits.astype(bool),
    "bits as int16": lambda bits: bits.astype(np.int16),
    "features": lambda bits: (bits - 0.5) * np.linspace(0.1, 3, bits.size).reshape(bits.shape),
    "features as float16": lambda bits: (bits - 0.5).astype(np.float16),
    "packed": pack,
    "Fortran order": lambda bits: np.asfortranarray(2.0 * bits - 1),
    "big-endian": lambda bits: (2.0 * bits - 1).astype(">f8"),
}


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (ending, kind)
        for ending in ("npz", "mat", "npy")
        for kind in KINDS
        if (ending, kind) != ("mat", "features as float16")
    ],
)
def test_codes_of_every_kind_become_the_same_codes(tmp_path, monkeypatch, ending, kind):
    monkeypatch.setattr(arrays, "ROWS", 7)
    bits = unpack(random_codes(30, 64), 64)
    values = KINDS[kind](bits)
    path = tmp_path / f"codes.{ending}"
    if ending == "npy":
        np.save(path, values)
    else:
        save(path, database_code=values)
    content = read(path)
    assert (content.bits, content.remarks) == (64, ())
    assert content.codes.tobytes() == pack(bits).tobytes()


@pytest.mark.parametrize("ending", FORMATS)
def test_query_and_database_of_one_file_give_the_map_of_the_arrays(tmp_path, ending):
    draw = np.random.default_rng(0)
    labels = np.eye(5)[draw.integers(0, 5, 60)]
    signs = np.sign(draw.normal(size=(60, 16)) + labels @ draw.normal(size=(5, 16)))
    path = save(
        tmp_path / f"all.{ending}",
        q_B=signs[:10],
        retrieval_B=signs[10:],
        q_L=labels[:10].astype(np.uint8),
        retrieval_L=labels[10:],
        map=np.array(0.5),
    )
    with pytest.raises(ValueError, match=r"codes: expected the name of the array .* which has q_B, retrieval_B"):
        read(path)
    read(path, codes="q_B").create(tmp_path / "query")
    read(path, codes="retrieval_B").create(tmp_path / "database")
    with Index.open(tmp_path / "query") as query, Index.open(tmp_path / "database") as database:
        found = mean_average_precision(query.codes(), database.codes(), query.labels(), database.labels())
    truth = labels.astype(np.uint8)
    assert found == mean_average_precision(pack(signs[:10]), pack(signs[10:]), truth[:10], truth[10:])
    assert read(path, codes="q_B", labels="q_L").labels.tolist() == truth[:10].tolist()
    with pytest.raises(ValueError, match=r"labels: expected an array of .*, got 'q_l' \(did you mean 'q_L'\?\)"):
        read(path, codes="q_B", labels="q_l")
    with pytest.raises(ValueError, match=r"codes: expected an array of .*, got 'x'"):
        read(path, codes="x")


@pytest.mark.parametrize("ending", ["npz", "mat", "npy"])
@pytest.mark.parametrize("kind", ["signs", "features"])
def test_exact_zeros_are_reported_and_become_bit_0(tmp_path, ending, kind):
    values = np.array([[1.0, -1, 0, 1], [0, 1, -1, -1]]) * (1 if kind == "signs" else 0.7)
    path = tmp_path / f"zeros.{ending}"
    np.save(path, values) if ending == "npy" else save(path, B=values)
    content = read(path)
    assert content.codes.tolist() == [[0b10010000], [0b01000000]]
    (remark,) = content.remarks
    assert "zeros" in remark
    assert remark.endswith("2 values are exactly 0, which has no sign; they became bit 0")


def test_uint8_of_0_and_1_needs_the_length(tmp_path):
    bits = np.eye(8, dtype=np.uint8)
    np.save(tmp_path / "bits.npy", bits)
    with pytest.raises(ValueError, match=r"bits: expected 8 or 57 to 64, since .*bits\.npy has only 0 and 1"):
        read(tmp_path / "bits.npy")
    assert read(tmp_path / "bits.npy", bits=8).codes.tolist() == pack(bits).tolist()
    assert read(tmp_path / "bits.npy", bits=64).codes.tolist() == bits.tolist()
    with pytest.raises(ValueError, match=r"bits\.npy: codes: expected 1 bytes for 7 bits, got 8"):
        read(tmp_path / "bits.npy", bits=7)


LABELS = {
    "a column": (np.arange(6.0)[:, None], list(range(6))),
    "a row": (np.arange(6, dtype=np.int16)[None, :], list(range(6))),
    "bits as floats": (np.eye(6, 3), np.eye(6, 3, dtype=int).tolist()),
    "bits as bool": (np.eye(6, 3, dtype=bool), np.eye(6, 3, dtype=int).tolist()),
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_every_form(tmp_path, ending, kind):
    given, expected = LABELS[kind]
    read(save(tmp_path / f"codes.{ending}", B=random_codes(6, 64), L=given)).create(tmp_path / "new")
    assert Index.open(tmp_path / "new").labels().tolist() == expected


BITS = 2.0 * np.eye(6) - 1
BAD = {
    "no codes": ({"x": BITS, "y": BITS}, ValueError, r"codes: expected the name .* which has x, y"),
    "no arrays": ({}, ValueError, r"codes: expected the name .* which has no arrays"),
    "NaN": ({"B": np.where(BITS == 1, np.nan, BITS)}, ValueError, r"bad\.\w+: B: expected features without NaN"),
    "other integers": ({"B": BITS.astype(int) * 3}, ValueError, r"B: expected signs, bits, .* got other integers"),
    "one axis": ({"B": np.arange(6.0)[:, None, None] + np.zeros((1, 2, 2))}, ValueError, r"B: expected \(n, bytes\)"),
    "complex numbers": ({"B": BITS * 1j}, TypeError, "B: expected numbers, got complex128"),
    "text": ({"B": np.array(["a", "b"])}, TypeError, "B: expected numbers, got <U1"),
    "labels of fewer items": ({"B": BITS, "L": np.arange(5)}, ValueError, "L: expected labels of 6 items, got"),
    "labels of fractions": ({"B": BITS, "L": np.arange(6) / 2}, ValueError, "L: expected whole numbers, got fractions"),
    "labels of NaN": ({"B": BITS, "L": np.full(6, np.nan)}, ValueError, "L: expected whole numbers, got fractions"),
    "huge labels": ({"B": BITS, "L": np.full(6, 1e300)}, ValueError, "L: expected integers of 64 bits"),
    "labels of text": ({"B": BITS, "L": np.array(list("abcdef"))}, TypeError, "L: expected whole numbers, got <U1"),
    "two arrays of labels": (
        {"B": BITS, "L": np.arange(6), "labels": np.arange(6)},
        ValueError,
        "labels: expected the name",
    ),
    "labels of 0 and 2": ({"B": BITS, "L": 2 * np.eye(6)}, ValueError, "labels: "),
    "fewer ids": ({"B": BITS, "ids": np.arange(5)}, ValueError, "ids: expected 6, one for each code, got 5"),
    "ids of floats": ({"B": BITS, "ids": np.arange(6.5)}, TypeError, "ids: expected text or integers, got float64"),
    "ids that come twice": ({"B": BITS, "ids": np.ones(6, int)}, ValueError, r"bad\.\w+: ids: .* '1' twice"),
    "facts that are none": (
        {"codes": BITS, "vtsearch": np.array("{}")},
        VtsearchError,
        "expected the facts of an index",
    ),
    "facts that are a number": ({"codes": BITS, "vtsearch": np.array(3)}, VtsearchError, "vtsearch: expected a text"),
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("what", BAD)
def test_arrays_that_are_no_items_leave_no_index(tmp_path, ending, what):
    content, kind, says = BAD[what]
    path = save(tmp_path / f"bad.{ending}", **content)
    with pytest.raises(kind, match=says):
        read(path).create(tmp_path / "new")
    assert list(tmp_path.iterdir()) == [path]


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_objects_are_never_unpickled(tmp_path, ending):
    trap = np.array([[Trap()]], dtype=object)
    path = tmp_path / f"trap.{ending}"
    np.save(path, trap, allow_pickle=True) if ending == "npy" else np.savez(path, codes=trap)
    with pytest.raises(VtsearchError, match=rf"trap\.{ending}: expected a whole"):
        read(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(VtsearchError, match=rf"trap\.{ending}: expected a "):
        read(path)


@pytest.mark.parametrize("ending", ["npz", "mat", "npy"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(make_index, tmp_path, ending, part):
    path = tmp_path / f"codes.{ending}"
    export(make_index(200, labels="single"), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises((VtsearchError, ValueError), match=rf"codes\.{ending}"):
        read(path).create(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("ending", ["npz", "mat"])
def test_damaged_bytes_are_refused_or_change_nothing(make_index, tmp_path, ending):
    path = tmp_path / f"codes.{ending}"
    index = make_index(100, labels="single", ids=[f"{i}.jpg" for i in range(100)])
    export(index, path)
    content, refused = path.read_bytes(), []
    for place in range(0, len(content), max(len(content) // 80, 1)):
        path.write_bytes(
            content[:place] + bytes(255 - byte for byte in content[place : place + 4]) + content[place + 4 :]
        )
        try:
            codes = read(path).codes
        except (VtsearchError, ValueError, TypeError) as error:
            refused.append(str(error))
        else:
            assert codes.shape[1] in (8, 64)
    assert len(refused) > 10
    assert all(path.name in text or text.startswith(("codes: ", "bits: ")) for text in refused), refused


def test_a_matlab_file_of_version_7_3_is_named(tmp_path):
    pytest.importorskip("scipy.io", reason="needs scipy: pip install 'vtsearch[mat]'")
    header = b"MATLAB 7.3 MAT-file".ljust(124) + (0x0200).to_bytes(2, "little") + b"IM"
    (tmp_path / "new.mat").write_bytes(header + bytes(512))
    with pytest.raises(VtsearchError, match=r"new\.mat: expected a MATLAB file up to version 7\.2, got 7\.3"):
        read(tmp_path / "new.mat")


def test_more_bits_than_a_matlab_array_holds_are_refused(make_index, tmp_path, monkeypatch):
    pytest.importorskip("scipy.io", reason="needs scipy: pip install 'vtsearch[mat]'")
    from vtsearch.exchange import mat

    monkeypatch.setattr(mat, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="target: expected at most 100 bits in all"):
        export(make_index(9), tmp_path / "codes.mat")


def test_a_struct_is_no_array_of_codes(tmp_path):
    scipy_io = pytest.importorskip("scipy.io", reason="needs scipy: pip install 'vtsearch[mat]'")
    scipy_io.savemat(tmp_path / "struct.mat", {"codes": {"a": 1, "b": [1, 2]}})
    with pytest.raises((TypeError, VtsearchError), match=r"struct\.mat: codes: expected numbers"):
        read(tmp_path / "struct.mat")
