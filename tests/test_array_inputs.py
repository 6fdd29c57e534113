"""Arrays that are not what they look like: converted where the meaning is clear, refused with a remedy if not."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from strategies import seeded_codes

import vtsearch
from vtsearch import metrics, ranking
from vtsearch._database import Database

QUERIES, CODES = seeded_codes(0, 3, 64), seeded_codes(1, 20, 64)
LABELS = np.array([0, 1, 2]), np.arange(20) % 3
SIDES = (QUERIES, CODES, *LABELS)


class Tensor:
    """What vtsearch sees of a torch tensor: no array until it is detached and moved."""

    def __init__(self, array, dtype="torch.uint8", steps=()):
        self.array, self.dtype, self.steps = array, dtype, steps

    def detach(self):
        return Tensor(self.array, self.dtype, (*self.steps, "detach"))

    def cpu(self):
        return Tensor(self.array, self.dtype, (*self.steps, "cpu"))

    def float(self):
        return Tensor(self.array.astype(np.float32), "torch.float32", self.steps)

    def numpy(self):
        if self.steps != ("detach", "cpu"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def test_tensors_are_detached_moved_and_converted():
    features = np.random.default_rng(0).normal(size=(4, 10))
    for dtype in ("torch.float32", "torch.bfloat16"):
        assert np.array_equal(vtsearch.pack(Tensor(features, dtype)), vtsearch.pack(features))
    assert np.array_equal(vtsearch.pack([Tensor(row) for row in features]), vtsearch.pack(features))
    found = ranking.rank(Tensor(QUERIES), Tensor(CODES), 3, mask=Tensor(np.ones(20, bool)), exclude=Tensor(LABELS[0]))
    assert np.array_equal(found.indices, ranking.rank(QUERIES, CODES, 3, exclude=LABELS[0]).indices)
    scores = metrics.average_precision(*map(Tensor, SIDES))
    assert np.array_equal(scores, metrics.average_precision(*SIDES))
    assert vtsearch.evaluate(*map(Tensor, SIDES), 5) == vtsearch.evaluate(*SIDES, 5)
    assert len(Database(Tensor(CODES))) == len(Database([Tensor(CODES)])) == 20


@pytest.mark.slow
def test_tensors_of_torch_are_taken():
    torch = pytest.importorskip("torch")
    features = torch.randn(4, 10, requires_grad=True)
    expected = vtsearch.pack(features.detach().numpy())
    assert np.array_equal(vtsearch.pack(features), expected)
    assert np.array_equal(vtsearch.pack(features.bfloat16()), expected)
    assert np.array_equal(vtsearch.pack(list(features)), expected)
    codes = torch.from_numpy(CODES)
    assert np.array_equal(ranking.rank(codes[:3], codes, 2).indices, ranking.rank(CODES[:3], CODES, 2).indices)
    labels = torch.from_numpy(LABELS[1])
    assert metrics.mean_average_precision(codes, codes, labels, labels, exclude="self") > 0
    with pytest.raises(ValueError, match="values: expected features without NaN"):
        vtsearch.pack(torch.full((2, 2), torch.nan))
    with pytest.raises(TypeError, match="values: expected an array-like; numpy could not convert it"):
        vtsearch.pack(torch.ones(2, 2).to_sparse())


def test_tensors_need_no_import_of_torch():
    program = "import sys, vtsearch; vtsearch.pack([[1.0, 2.0]]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_arrays_that_numpy_does_not_make_name_the_argument():
    for call, name in [
        (lambda array: ranking.rank(array, CODES), "query_codes"),
        (lambda array: ranking.rank(QUERIES, array), "db_codes"),
        (lambda array: metrics.average_precision(QUERIES, CODES, array, LABELS[1]), "query_labels"),
        (lambda array: ranking.rank(QUERIES, CODES, mask=array), "mask"),
        (lambda array: ranking.rank(QUERIES, CODES, exclude=array), "exclude"),
        (vtsearch.bootstrap_interval, "scores"),
        (vtsearch.pack, "values"),
    ]:
        with pytest.raises(ValueError, match=f"^{name}: expected an array-like; numpy could not convert it"):
            call([[[1, 2], [3]]] * 3)
        with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
            call([{}, {}, {}])
        with pytest.raises((TypeError, ValueError), match=f"^{name}: expected"):
            call([2**70, 1, 2])


def test_words_of_the_other_byte_order_are_refused():
    words = CODES.view(np.uint32)
    assert ranking.distances(words, words.copy()).diagonal().tolist() == [0] * 20
    swapped = words.astype(words.dtype.newbyteorder())
    for sides, name in (((swapped, words), "query_codes"), ((words, swapped), "db_codes")):
        with pytest.raises(ValueError, match=rf"{name}: expected words in the byte order of this machine, got [<>]u4"):
            ranking.distances(*sides)
    with pytest.raises(ValueError, match=r"parts: expected words in the byte order"):
        Database(swapped)
    same_numbers = swapped.astype(swapped.dtype.newbyteorder("="))
    assert ranking.distances(same_numbers, words).diagonal().tolist() == [0] * 20


@pytest.mark.parametrize("dtype", [">i8", "<i8", ">u8", "<i2", ">f4"])
def test_numbers_of_any_byte_order_are_the_same_labels_and_features(dtype):
    if np.dtype(dtype).kind != "f":
        labels = [each.astype(dtype) for each in LABELS]
        assert np.array_equal(metrics.average_precision(QUERIES, CODES, *labels), metrics.average_precision(*SIDES))
    features = np.arange(-8, 8).reshape(2, 8) - 0.5
    assert np.array_equal(vtsearch.pack(features.astype(">f4")), vtsearch.pack(features))


@pytest.mark.parametrize("dtype", ["<u8", ">u8"])
def test_labels_beyond_int64_are_refused_on_both_sides(dtype):
    large = np.array([2**63, 0, 1], dtype=dtype)
    with pytest.raises(ValueError, match="query_labels: expected labels that fit int64, got 9223372036854775808"):
        metrics.average_precision(QUERIES, CODES, large, LABELS[1])
    with pytest.raises(ValueError, match="db_labels: expected labels that fit int64, got 9223372036854775808"):
        metrics.average_precision(CODES, QUERIES, LABELS[1], large)


@pytest.mark.parametrize("name", ["query_codes", "db_codes", "query_labels", "db_labels", "mask", "exclude"])
def test_masked_entries_are_refused(name):
    given = dict(zip(("query_codes", "db_codes", "query_labels", "db_labels"), SIDES, strict=True))
    given |= {"mask": np.ones(20, dtype=bool), "exclude": np.array([0, 1, 2])}
    hidden = np.ma.masked_array(given[name], mask=np.zeros(given[name].shape, dtype=bool))
    assert np.array_equal(metrics.average_precision(**given | {name: hidden}), metrics.average_precision(**given))
    hidden[0] = np.ma.masked
    with pytest.raises(ValueError, match=rf"{name}: expected an array without masked entries, got \d+ of them"):
        metrics.average_precision(**given | {name: hidden})


def test_masked_features_are_refused():
    with pytest.raises(ValueError, match="values: expected an array without masked entries, got 1 of them"):
        vtsearch.pack(np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]]))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_codes_in_signed_words_are_told_to_be_viewed_not_packed(dtype):
    words = CODES.view(dtype)
    way = rf"db_codes.view\(np.uint{8 * np.dtype(dtype).itemsize}\)"
    with pytest.raises(TypeError, match=rf"db_codes: expected packed uint8 codes, got {words.dtype}; use {way}"):
        ranking.rank(QUERIES, words)
    with pytest.raises(
        TypeError, match=r"use db_codes.view\(np.uint\d+\)\[:, None\] if these are codes in signed words"
    ):
        ranking.rank(QUERIES, words[:, 0])
    assert np.array_equal(
        ranking.distances(QUERIES, words.view(f"u{np.dtype(dtype).itemsize}")), ranking.distances(QUERIES, CODES)
    )


def test_bytes_in_a_list_are_told_their_dtype():
    with pytest.raises(TypeError, match=r"use np.asarray\(db_codes, dtype=np.uint8\) if each number is a byte"):
        ranking.rank(QUERIES, CODES.tolist())


@pytest.mark.parametrize("values", [[-1, 1, 1, -1], [0, 1, 1, 0], [-1, 0, 1, 0]])
def test_bits_and_signs_are_told_to_be_packed(values):
    with pytest.raises(TypeError, match=r"db_codes: expected packed uint8 codes, got int64; vtsearch\.pack turns"):
        ranking.rank(QUERIES, np.array([values * 2] * 3))


def test_signs_of_features_that_are_exactly_0_are_refused():
    signs = np.sign([[0.5, -2.0, 0.0], [1.0, -1.0, 3.0]])
    with pytest.raises(
        ValueError, match=r"values: expected features or signs, got -1, 0 and 1 only, where 0 is no sign"
    ):
        vtsearch.pack(signs)
    for values in (signs[1:], [[0.0, 1.0]], [[-1.0, 0.0, 0.3]], np.zeros((0, 3))):
        vtsearch.pack(values)


@pytest.mark.parametrize("labels", [np.array([[0], [1], [0]]), np.array([[5], [7], [5]]), np.ones((3, 1))])
def test_labels_of_one_column_are_refused_with_both_meanings(labels):
    for name, sides in [("query_labels", (labels, LABELS[1])), ("db_labels", (LABELS[0], labels))]:
        with pytest.raises(
            ValueError, match=rf"{name}: expected .*, got \(3, 1\); use {name}\[:, 0\] for class numbers"
        ):
            metrics.average_precision(QUERIES, QUERIES if name == "db_labels" else CODES, *sides)
    with pytest.raises(ValueError, match=r"labels: expected .*, got \(3, 1\); use labels\[:, 0\]"):
        Database(QUERIES, labels=labels)


@pytest.mark.parametrize(
    "labels", [[0.0, np.nan, 1.0], np.array([0, 1, None], dtype=object), [[1, np.nan], [0, 1], [1, 0]]]
)
def test_labels_that_are_no_labels_are_refused(labels):
    with pytest.raises((TypeError, ValueError), match="query_labels: expected "):
        metrics.average_precision(
            QUERIES, CODES, labels, LABELS[1] if np.ndim(labels) == 1 else np.eye(2, dtype=int)[LABELS[1] % 2]
        )


def test_the_bits_of_an_evaluation_are_those_of_its_bytes():
    for sides in (SIDES, (QUERIES.view(np.uint64), CODES.view(np.uint64), *LABELS)):
        found = vtsearch.evaluate(*sides)
        assert found.bits == 64
        assert len(found.radius_curve) == 65


@pytest.mark.parametrize("bits", [7, 56, 65, 1000])
def test_bits_that_do_not_fit_the_bytes_are_refused(bits):
    with pytest.raises(ValueError, match=f"bits: expected 57 to 64 for codes of 8 bytes, got {bits}"):
        vtsearch.evaluate(*SIDES, bits=bits)


def test_other_bits_are_refused():
    with pytest.raises(ValueError, match="bits: expected at least 1, got -3"):
        vtsearch.evaluate(*SIDES, bits=-3)
    for bits in ("64", 64.0, True):
        with pytest.raises(TypeError, match=f"bits: expected an int, got {bits!r}"):
            vtsearch.evaluate(*SIDES, bits=bits)
    ones = np.full((3, 8), 255, dtype=np.uint8)
    with pytest.raises(ValueError, match="bits: expected at least 64, the bits in which two codes differ, got 60"):
        vtsearch.evaluate(np.zeros_like(ones), ones, LABELS[0], LABELS[0], bits=60)


def test_codes_with_one_bit_in_each_byte_are_refused():
    bits = np.random.default_rng(0).integers(0, 2, (20, 64)).astype(np.uint8)
    for name, sides in [("query_codes", (bits, vtsearch.pack(bits))), ("db_codes", (vtsearch.pack(bits), bits))]:
        alike = [np.resize(side, (20, 64)) for side in sides]  # of one width, so that nothing else is wrong
        with pytest.raises(ValueError, match=rf"{name}: expected packed codes .*use vtsearch.pack\({name}\)"):
            vtsearch.evaluate(*alike, LABELS[1], LABELS[1])
    collapsed = np.zeros((20, 64), dtype=np.uint8)
    assert vtsearch.evaluate(collapsed, collapsed, LABELS[1], LABELS[1]).bits == 512


def test_numpy_numbers_leave_an_evaluation_json():
    labels = np.eye(3, dtype=int)
    for truth in (LABELS, (labels, labels[LABELS[1]])):
        found = vtsearch.evaluate(QUERIES, CODES, *truth, np.int64(5), bits=np.int64(64), exclude=np.arange(3))
        assert vtsearch.Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found
