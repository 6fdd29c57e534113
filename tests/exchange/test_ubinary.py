"""Quantized embeddings of sentence-transformers: bytes as they are, or each less 128."""

from __future__ import annotations

import numpy as np
import pytest
from exchange_fixtures import random_codes

from vtsearch.errors import VtsearchError
from vtsearch.exchange import export, read


def quantized(embeddings, precision):
    """What sentence-transformers documents of its two binary precisions."""
    codes = np.packbits(embeddings > 0, axis=1)
    return codes if precision == "ubinary" else (codes.astype(np.int16) - 128).astype(np.int8)


@pytest.mark.parametrize("precision", ["ubinary", "binary"])
def test_quantized_embeddings_are_read_and_written(make_index, tmp_path, precision):
    embeddings = np.random.default_rng(0).normal(size=(300, 384)).astype(np.float32)
    np.save(tmp_path / "embeddings.npy", quantized(embeddings, precision))
    content = read(tmp_path / "embeddings.npy", precision)
    assert content.bits == 384
    assert content.codes.tolist() == np.packbits(embeddings > 0, axis=1).tolist()
    index = make_index(0, 384)
    content.into(index)
    export(index, tmp_path / "again.npy", precision)
    again = np.load(tmp_path / "again.npy")
    assert (again.dtype, again.tolist()) == (
        quantized(embeddings, precision).dtype,
        quantized(embeddings, precision).tolist(),
    )


@pytest.mark.parametrize("precision", ["ubinary", "binary"])
@pytest.mark.parametrize("bits", [1, 12, 64])
def test_a_round_trip_keeps_codes(make_index, exchanged, precision, bits):
    index = make_index(50, bits)
    assert exchanged(index, "codes.npy", format=precision, bits=bits).codes().tobytes() == index.codes().tobytes()


def test_ubinary_of_zeros_and_ones_is_not_taken_for_bits(tmp_path):
    np.save(tmp_path / "small.npy", np.eye(4, dtype=np.uint8))
    assert read(tmp_path / "small.npy", "ubinary").bits == 32


@pytest.mark.parametrize(
    ("array", "precision", "kind", "says"),
    [
        (random_codes(3, 64), "binary", TypeError, "expected int8 for format binary, got uint8"),
        (random_codes(3, 64).view(np.int8), "ubinary", TypeError, "expected uint8 for format ubinary, got int8"),
        (np.zeros((3, 8)), "ubinary", TypeError, "expected uint8 .*, got float64"),
        (np.zeros(8, np.uint8), "ubinary", ValueError, r"expected \(n, bytes\), got \(8,\)"),
        (np.zeros((8, 0), np.uint8), "ubinary", ValueError, r"expected \(n, bytes\), got \(8, 0\)"),
        (np.zeros((), np.int8), "binary", ValueError, r"expected \(n, bytes\), got \(\)"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, precision, kind, says):
    np.save(tmp_path / "other.npy", array)
    with pytest.raises(kind, match=rf"other\.npy: {says}"):
        read(tmp_path / "other.npy", precision)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(VtsearchError, match=r"text\.npy: expected a \.npy file"):
        read(tmp_path / "text.npy", "binary")
