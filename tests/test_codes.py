from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vtsearch import reference
from vtsearch.codes import pack, prefix, unpack

BITORDERS = pytest.mark.parametrize("bitorder", ["big", "little"])
BIT_MATRICES = hnp.arrays(np.uint8, st.tuples(st.integers(0, 5), st.integers(1, 70)), elements=st.integers(0, 1))


@given(bits=BIT_MATRICES, bitorder=st.sampled_from(["big", "little"]))
def test_unpack_gives_back_what_was_packed(bits, bitorder):
    codes = pack(bits, bitorder=bitorder)
    assert np.array_equal(codes, reference.pack(bits, bitorder=bitorder))
    assert np.array_equal(unpack(codes, bits.shape[1], bitorder=bitorder), bits)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_above_zero_are_one(dtype):
    features = np.array([[0.5, 0.0, -0.0, -1.0, np.inf, -np.inf, 1e-7, 3]], dtype=dtype)
    assert pack(features).tolist() == [[0b10001011]]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_bits_of_any_kind_are_packed(dtype):
    assert pack(np.array([[1, 0, 1], [0, 0, 1]], dtype=dtype)).tolist() == [[0b10100000], [0b00100000]]


def test_a_missing_value_is_refused():
    with pytest.raises(ValueError, match="values: expected features without NaN"):
        pack([[1.0, float("nan")]])


def test_signs_are_refused_with_the_repair():
    with pytest.raises(ValueError, match=r"signs -1 and 1; use vtsearch.pack\(values > 0\)"):
        pack(np.array([[-1, 1]]))


def test_other_integers_are_refused():
    with pytest.raises(ValueError, match="values: expected integers 0 and 1, got integers from 0 to 7"):
        pack(np.array([[0, 7]]))


@pytest.mark.parametrize("values", [[["a", "b"]], [[1j]], [[None]]])
def test_values_that_are_not_numbers_are_refused(values):
    with pytest.raises(TypeError, match="values: expected float, bool or 0/1 integers"):
        pack(values)


@pytest.mark.parametrize("shape", [(3,), (2, 0), (2, 2, 2), ()])
def test_values_that_are_not_a_matrix_are_refused(shape):
    with pytest.raises(ValueError, match=r"values: expected \(n, bits\)"):
        pack(np.zeros(shape))


@pytest.mark.parametrize("function", [pack, lambda codes, **options: unpack(codes, 8, **options)])
def test_an_unknown_bit_order_is_refused(function):
    with pytest.raises(ValueError, match="bitorder: expected one of big, little, got 'middle'"):
        function(np.zeros((1, 1), dtype=np.uint8), bitorder="middle")


@BITORDERS
@pytest.mark.parametrize("bits", [1, 3, 7, 9, 15])
def test_set_bits_after_the_last_are_refused(bitorder, bits):
    codes = np.full((2, (bits + 7) // 8), 255, dtype=np.uint8)
    with pytest.raises(ValueError, match=f"codes: expected 0 in the bits after bit {bits - 1}"):
        unpack(codes, bits, bitorder=bitorder)


def test_codes_of_another_width_are_refused():
    with pytest.raises(ValueError, match="codes: expected 2 bytes for 9 bits, got 1"):
        unpack(np.zeros((1, 1), dtype=np.uint8), 9)


def test_bits_must_be_a_whole_number():
    with pytest.raises(TypeError, match=r"bits: expected an int, got 8\.0"):
        unpack(np.zeros((1, 1), dtype=np.uint8), 8.0)


def test_codes_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="codes: expected packed uint8 codes, got float64"):
        unpack(np.zeros((1, 1)), 8)
    with pytest.raises(ValueError, match=r"codes: expected \(n, bytes\)"):
        unpack(np.zeros(1, dtype=np.uint8), 8)


DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.bool_, np.int8, np.uint8, np.int64])


def values_of(dtype, n, bits):
    features = np.random.default_rng([n, bits]).normal(size=(n, bits))
    features[features > 2] = 0.0
    return features.astype(dtype) if np.dtype(dtype).kind == "f" else (features > 0).astype(dtype)


@BITORDERS
@DTYPES
def test_codes_of_every_length_are_the_reference_on_every_instruction_set(isa, agree, dtype, bitorder):
    for bits in (1, 7, 8, 9, 48, 50, 63, 64, 65, 100, 128, 129, 300):
        for n in (0, 1, 2, 3, 70):
            values = values_of(dtype, n, bits)
            agree(pack(values, bitorder=bitorder), reference.pack(values, bitorder=bitorder))


@DTYPES
def test_values_in_any_memory_layout_give_the_same_codes(dtype):
    values = values_of(dtype, 40, 70)
    expected = pack(values)
    unaligned = np.frombuffer(b"x" + values.tobytes(), dtype=np.uint8)[1:].view(values.dtype).reshape(values.shape)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    for layout in (np.asfortranarray(values), np.repeat(values, 2, axis=0)[::2], unaligned, swapped):
        np.testing.assert_array_equal(pack(layout), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("bits", [5, 64, 70])
def test_a_missing_value_is_found_wherever_it_is(isa, dtype, bits):
    values = values_of(dtype, 3, bits)
    for place in range(values.size):
        broken = values.copy()
        broken.flat[place] = np.nan
        with pytest.raises(ValueError, match="values: expected features without NaN"):
            pack(broken)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("bits", [5, 64, 70])
def test_another_integer_is_found_wherever_it_is(isa, dtype, bits):
    values = values_of(dtype, 3, bits)
    for place in range(values.size):
        broken = values.copy()
        broken.flat[place] = 2
        with pytest.raises(ValueError, match="values: expected integers 0 and 1"):
            pack(broken)


def test_infinities_and_the_smallest_numbers_keep_their_signs(isa):
    for dtype in (np.float16, np.float32, np.float64):
        tiny = np.finfo(dtype).smallest_subnormal
        values = np.array([[np.inf, -np.inf, tiny, -tiny, 0.0, -0.0, np.finfo(dtype).max, np.finfo(dtype).min]], dtype)
        assert pack(values).tolist() == [[0b10100010]]


@pytest.mark.parametrize("bits", [1, 7, 8, 12, 16, 17, 32, 40, 63, 64, 72])
def test_a_prefix_is_the_first_bits(bits):
    values = np.random.default_rng(bits).integers(0, 2, (30, 72))
    codes = pack(values)
    cut = prefix(codes, bits)
    np.testing.assert_array_equal(cut, pack(values[:, :bits]))
    assert cut.flags.c_contiguous
    assert not np.shares_memory(cut, codes)


@pytest.mark.parametrize(("bits", "error"), [(0, ValueError), (25, ValueError), (2.0, TypeError), (True, TypeError)])
def test_a_prefix_of_another_length_is_refused(bits, error):
    with pytest.raises(error, match="bits: expected"):
        prefix(np.zeros((2, 3), np.uint8), bits)
