"""The operators of PyTorch: the answers of the engine and its errors, shapes without data, compiled graphs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import seeded_codes

import vtsearch.torch
from vtsearch import _validate, codes, ranking, reference

PAGE = Path(__file__).parents[1] / "docs" / "api" / "torch.md"
QUERIES, DATABASE = seeded_codes(0, 5, 64), seeded_codes(1, 40, 64)
MASK = np.arange(40) % 3 == 0
FEATURES = np.random.default_rng(2).normal(size=(6, 20)).astype(np.float32)
BITS = pytest.mark.parametrize("bits", [16, 64, 100, 300])
KIND = pytest.mark.parametrize("kind", ["random", "few", "equal"])


def tensors(*arrays):
    return tuple(torch.from_numpy(array) if isinstance(array, np.ndarray) else array for array in arrays)


def masked(share, n):
    return None if share is None else np.random.default_rng(n).random(n) < share


# Answers


@BITS
@KIND
@pytest.mark.parametrize("queries", [0, 3, 17])
@pytest.mark.parametrize("share", [None, 0.0, 0.3])
def test_rankings_and_histograms_are_those_of_the_reference(bits, kind, queries, share):
    n = 200
    query_codes, db_codes, mask = seeded_codes(3, queries, bits), seeded_codes(4, n, bits, kind), masked(share, n)
    given = tensors(query_codes, db_codes)
    for k in (None, 1, 7, 10**6):
        distances, indices = vtsearch.torch.rank(*given, k, mask=tensors(mask)[0])
        expected = reference.rank(query_codes, db_codes, k, mask=mask)
        assert (distances.dtype, indices.dtype) == (torch.int32, torch.int64)
        np.testing.assert_array_equal(distances, expected[0])
        np.testing.assert_array_equal(indices, expected[1])
    counts = vtsearch.torch.histogram(*given, mask=tensors(mask)[0])
    assert counts.dtype == torch.int64
    np.testing.assert_array_equal(counts, reference.histogram(query_codes, db_codes, mask=mask))


def test_an_empty_database_and_a_single_query_have_results_of_their_shape():
    query_codes, db_codes = tensors(QUERIES, DATABASE)
    assert vtsearch.torch.rank(query_codes, db_codes[:0]).indices.shape == (5, 0)
    assert not vtsearch.torch.histogram(query_codes, db_codes[:0]).any()
    assert vtsearch.torch.rank(query_codes[0], db_codes, 3).indices.shape == (1, 3)
    assert vtsearch.torch.histogram(query_codes[0], db_codes).shape == (1, 65)


@pytest.mark.parametrize("form", [np.packbits, np.flatnonzero, lambda mask: np.tile(mask, (5, 1))])
def test_a_mask_has_the_forms_that_arrays_have(form):
    expected = ranking.rank(QUERIES, DATABASE, 4, mask=MASK).indices
    found = vtsearch.torch.rank(*tensors(QUERIES, DATABASE), 4, mask=torch.from_numpy(form(MASK))).indices
    assert np.array_equal(found, expected)


def test_words_of_several_bytes_are_read_as_their_bytes():
    query_codes, db_codes = tensors(QUERIES, DATABASE)
    words = [side.view(torch.uint32) for side in (query_codes, db_codes)]
    assert torch.equal(vtsearch.torch.rank(*words, 4).indices, vtsearch.torch.rank(query_codes, db_codes, 4).indices)
    assert vtsearch.torch.histogram(*(side.to("meta") for side in words)).shape == (5, 65)


def test_the_number_of_threads_changes_nothing():
    given = tensors(QUERIES, DATABASE)
    for threads in (1, 3):
        ranked = vtsearch.torch.rank(*given, 9, threads=threads)
        assert np.array_equal(ranked.indices, ranking.rank(QUERIES, DATABASE, 9).indices)
        assert np.array_equal(vtsearch.torch.histogram(*given, threads=threads), ranking.histogram(QUERIES, DATABASE))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("bits", [16, 100, 300])
def test_codes_of_features_are_those_of_their_signs(dtype, bits):
    features = torch.from_numpy(np.random.default_rng(bits).normal(size=(5, bits))).to(dtype)
    features[:, 3] = 0
    expected = torch.from_numpy(np.packbits(features.double().numpy() > 0, axis=1))
    for values in (features, features > 0, (features > 0).long(), features.t().contiguous().t()):
        assert torch.equal(vtsearch.torch.pack(values), expected)
    assert vtsearch.torch.pack(features[:0]).shape == (0, (bits + 7) // 8)


# Memory


def test_arguments_and_results_share_the_memory_of_arrays(monkeypatch):
    seen = {}

    def spied(name, function):
        def call(*args, **options):
            found = function(*args, **options)
            arrays = [array for array in (*args, *options.values()) if isinstance(array, np.ndarray)]
            results = found if isinstance(found, tuple) else (found,)
            seen[name] = [array.ctypes.data for array in arrays], [array.ctypes.data for array in results]
            return found

        return call

    for module, name in ((ranking, "rank"), (ranking, "histogram"), (codes, "pack")):
        monkeypatch.setattr(module, name, spied(name, getattr(module, name)))
    query_codes, db_codes, mask, features = tensors(QUERIES, DATABASE, MASK, FEATURES)
    given = [query_codes.data_ptr(), db_codes.data_ptr(), mask.data_ptr()]
    ranked = vtsearch.torch.rank(query_codes, db_codes, 3, mask=mask)
    assert seen["rank"] == (given, [ranked.distances.data_ptr(), ranked.indices.data_ptr()])
    counts = vtsearch.torch.histogram(query_codes, db_codes, mask=mask)
    assert seen["histogram"] == (given, [counts.data_ptr()])
    packed = vtsearch.torch.pack(features)
    assert seen["pack"] == ([features.data_ptr()], [packed.data_ptr()])


def test_a_large_strided_database_is_never_copied(monkeypatch):
    query_codes, db_codes = tensors(QUERIES, DATABASE)
    expected = ranking.rank(QUERIES, DATABASE[::2], 3).indices
    assert np.array_equal(vtsearch.torch.rank(query_codes, db_codes[::2], 3).indices, expected)
    monkeypatch.setattr(_validate, "COPY_LIMIT", 10)
    with pytest.raises(ValueError, match="db_codes: expected C-contiguous codes"):
        vtsearch.torch.rank(query_codes, db_codes[::2], 3)


# Gradients


def test_codes_of_features_that_require_a_gradient_have_none():
    features = torch.from_numpy(FEATURES.copy()).requires_grad_()
    packed = vtsearch.torch.pack(features)
    assert not packed.requires_grad
    assert np.array_equal(packed, codes.pack(FEATURES))
    with pytest.raises(RuntimeError, match="does not require grad"):
        packed.float().sum().backward()


def test_operators_run_in_inference_mode():
    with torch.inference_mode():
        packed = vtsearch.torch.pack(torch.from_numpy(FEATURES))
        assert vtsearch.torch.rank(packed, packed, 1).indices.ravel().tolist() == list(range(6))


# Shapes without data


SAMPLES = {
    "pack": [(FEATURES,), (FEATURES[:0],), (FEATURES > 0,), (np.zeros((2, 8), np.int64),)],
    "rank": [
        (QUERIES, DATABASE),
        (QUERIES, DATABASE, 3),
        (QUERIES, DATABASE, 10**6),
        (QUERIES[:0], DATABASE, 3),
        (QUERIES[0], DATABASE, 3),
        (QUERIES, DATABASE[:0], 3),
        (QUERIES[:, :2].copy(), DATABASE[:, :2].copy(), 7),
        (QUERIES, DATABASE, 7, None, 1),
        (QUERIES, DATABASE, 3, MASK),
        (QUERIES, DATABASE, None, MASK, 2),
        (QUERIES, DATABASE, 3, np.zeros(40, dtype=bool)),
    ],
    "histogram": [
        (QUERIES, DATABASE),
        (QUERIES[:0], DATABASE),
        (QUERIES[0], DATABASE),
        (QUERIES, DATABASE[:0]),
        (QUERIES, DATABASE, MASK, 2),
    ],
}
EVERY_SAMPLE = [(operator, sample) for operator, samples in SAMPLES.items() for sample in samples]
OF_KNOWN_SHAPE = [(operator, sample) for operator, sample in EVERY_SAMPLE if operator != "rank" or len(sample) < 4]


def results(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize(("operator", "sample"), EVERY_SAMPLE)
def test_an_operator_has_all_that_pytorch_asks_of_one(operator, sample):
    checks = torch.library.opcheck(getattr(torch.ops.vtsearch, operator).default, tensors(*sample))
    assert list(checks.values()) == ["SUCCESS"] * 4


@pytest.mark.parametrize(("operator", "sample"), OF_KNOWN_SHAPE)
def test_tensors_without_data_give_the_shapes_of_results(operator, sample):
    call = getattr(torch.ops.vtsearch, operator)
    given = tensors(*sample)
    shapes = results(call(*(each.to("meta") if torch.is_tensor(each) else each for each in given)))
    expected = [(each.shape, each.dtype) for each in results(call(*given))]
    assert [(each.shape, each.dtype) for each in shapes] == expected
    assert {each.device.type for each in shapes} == {"meta"}


def test_a_mask_without_data_gives_no_shape():
    with pytest.raises(RuntimeError, match="data-dependent shape"):
        vtsearch.torch.rank(
            *(side.to("meta") for side in tensors(QUERIES, DATABASE)), mask=torch.ones(40, device="meta")
        )


def search(queries, database, k, mask=None):
    """All operators in one function."""
    query_codes, db_codes = vtsearch.torch.pack(queries), vtsearch.torch.pack(database)
    distances, indices = vtsearch.torch.rank(query_codes, db_codes, k, mask=mask, threads=1)
    return distances.sum(dim=1), indices + 1, vtsearch.torch.histogram(query_codes, db_codes, mask=mask)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("dynamic", [None, True, False])
def test_a_compiled_function_gives_the_same_results(backend, dynamic):
    torch.compiler.reset()
    compiled = torch.compile(search, fullgraph=True, backend=backend, dynamic=dynamic)
    queries, database = torch.randn(5, 20), torch.randn(40, 20)
    mask = torch.from_numpy(MASK)
    for given in (
        (queries, database, 3),
        (queries[:3].clone(), database[:30].clone(), 35),
        (queries, database, None),
        (queries, database, 3, mask),
        (queries, database, None, mask),
    ):
        for one, other in zip(compiled(*given), search(*given), strict=True):
            assert torch.equal(one, other)


def test_a_function_is_compiled_once_for_all_k_and_sizes():
    torch.compiler.reset()
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(search, fullgraph=True, backend=backend, dynamic=True)
    for k, queries, items in ((3, 5, 40), (4, 6, 50), (11, 7, 60), (90, 8, 70)):
        compiled(torch.randn(queries, 20), torch.randn(items, 20), k)
    assert len(graphs) == 1


def test_an_exported_program_takes_other_sizes():
    class Search(torch.nn.Module):
        def forward(self, queries, database, mask):
            return search(queries, database, 3, mask)

    def given(q, n):
        return torch.randn(q, 20), torch.randn(n, 20), torch.arange(n) % 2 == 0

    q, n = torch.export.Dim("q", min=2, max=100), torch.export.Dim("n", min=3, max=1000)
    program = torch.export.export(Search(), given(4, 30), dynamic_shapes=({0: q}, {0: n}, {0: n})).module()
    other = given(7, 50)
    for one, expected in zip(program(*other), Search()(*other), strict=True):
        assert torch.equal(one, expected)


# Errors


@pytest.mark.parametrize(
    ("query_codes", "db_codes", "options"),
    [
        (QUERIES.astype(np.float32), DATABASE, {}),
        (QUERIES, DATABASE.astype(np.int64), {}),
        (QUERIES, DATABASE[:, :4].copy(), {}),
        (QUERIES, DATABASE.ravel(), {}),
        (QUERIES[None], DATABASE, {}),
        (QUERIES[:, :0], DATABASE[:, :0], {}),
        (np.zeros((1, 8192), np.uint8), np.zeros((2, 8192), np.uint8), {}),
        (QUERIES, DATABASE, {"mask": MASK[1:]}),
        (QUERIES, DATABASE, {"mask": MASK.astype(np.float32)}),
        (QUERIES, DATABASE, {"threads": 0}),
        (QUERIES, DATABASE, {"threads": 1.5}),
    ],
)
def test_errors_are_those_of_arrays(query_codes, db_codes, options):
    for name in ("rank", "histogram"):
        with pytest.raises((TypeError, ValueError)) as expected:
            getattr(ranking, name)(query_codes, db_codes, **options)
        given = dict(zip(options, tensors(*options.values()), strict=True))
        with pytest.raises(expected.type, match=re.escape(str(expected.value))):
            getattr(vtsearch.torch, name)(*tensors(query_codes, db_codes), **given)


@pytest.mark.parametrize("k", [0, -1, 1.0, True, "3"])
def test_a_k_below_one_or_no_int_is_refused_as_beside_arrays(k):
    with pytest.raises((TypeError, ValueError)) as expected:
        ranking.rank(QUERIES, DATABASE, k)
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        vtsearch.torch.rank(*tensors(QUERIES, DATABASE), k)


def test_a_k_beyond_the_ints_of_an_operator_is_refused():
    assert vtsearch.torch.rank(*tensors(QUERIES, DATABASE), 2**63 - 1).indices.shape == (5, 40)
    with pytest.raises(ValueError, match="k: expected at most 9223372036854775807, got 9223372036854775808"):
        vtsearch.torch.rank(*tensors(QUERIES, DATABASE), 2**63)


@pytest.mark.parametrize(
    "values", [np.full((2, 3), np.nan), np.zeros(3), np.zeros((2, 0)), np.full((2, 3), 2), np.zeros((2, 3), complex)]
)
def test_values_that_arrays_may_not_hold_are_refused(values):
    with pytest.raises((TypeError, ValueError)) as expected:
        codes.pack(values)
    with pytest.raises(expected.type, match=re.escape(str(expected.value))):
        vtsearch.torch.pack(torch.from_numpy(values))


def test_what_is_no_tensor_is_refused():
    query_codes, db_codes = tensors(QUERIES, DATABASE)
    for call, name, kind in (
        (lambda: vtsearch.torch.pack(FEATURES), "values", "ndarray"),
        (lambda: vtsearch.torch.rank(QUERIES, db_codes), "query_codes", "ndarray"),
        (lambda: vtsearch.torch.rank(query_codes, vtsearch.Database(DATABASE)), "db_codes", "Database"),
        (lambda: vtsearch.torch.rank(query_codes, db_codes, mask=[True] * 40), "mask", "list"),
        (lambda: vtsearch.torch.histogram(query_codes, DATABASE), "db_codes", "ndarray"),
        (lambda: vtsearch.torch.histogram(query_codes, db_codes, mask=MASK), "mask", "ndarray"),
    ):
        with pytest.raises(TypeError, match=f"^{name}: expected a tensor, got {kind}$"):
            call()


def test_tensors_without_strides_name_the_argument():
    query_codes, db_codes = tensors(QUERIES, DATABASE)
    with pytest.raises(TypeError, match="db_codes: expected an array-like; numpy could not convert it"):
        vtsearch.torch.rank(query_codes, db_codes.to_sparse())


@pytest.mark.parametrize("call", [vtsearch.torch.rank, vtsearch.torch.histogram])
def test_tensors_on_two_devices_are_refused(call):
    query_codes, db_codes, mask = tensors(QUERIES, DATABASE, MASK)
    with pytest.raises(ValueError, match="db_codes: expected a tensor on cpu as query_codes, got one on meta"):
        call(query_codes, db_codes.to("meta"))
    with pytest.raises(ValueError, match="db_codes: expected a tensor on meta as query_codes, got one on cpu"):
        call(query_codes.to("meta"), db_codes)
    with pytest.raises(ValueError, match="mask: expected a tensor on cpu as query_codes, got one on meta"):
        call(query_codes, db_codes, mask=mask.to("meta"))


OTHER_DEVICE = """
import torch
import vtsearch.torch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("other")  # a device whose tensors have no memory

@torch.library.impl("aten::empty.memory_format", "privateuseone")
def empty(size, dtype=None, **_):
    return torch._C._acc.create_empty_tensor(size, dtype)

here = torch.zeros((5, 8), dtype=torch.uint8)
there = torch.empty((5, 8), dtype=torch.uint8, device="other")
for call in (
    lambda: vtsearch.torch.pack(there),
    lambda: vtsearch.torch.rank(there, there),
    lambda: vtsearch.torch.rank(here, there),
    lambda: vtsearch.torch.histogram(here, here, mask=there),
):
    try:
        call()
    except ValueError as error:
        print(error)

def kernel(query_codes, db_codes, k=None, mask=None, threads=None):
    shape = len(query_codes), k
    return tuple(torch.empty(shape, dtype=dtype, device="other") for dtype in (torch.int32, torch.int64))

torch.library.register_kernel("vtsearch::rank", "other", kernel)
print(vtsearch.torch.rank(there, there, 3).indices.device, vtsearch.torch.rank(here, here, 3).indices.device)
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_device_is_refused_until_it_has_a_kernel():
    result = run(OTHER_DEVICE)
    refused = "expected a tensor on the CPU, got one on other:0, which has no kernel; use"
    names = ("values", "query_codes", "db_codes", "mask")
    answers = [*(f"{name}: {refused} {name}.cpu()" for name in names), "other:0 cpu"]
    assert result.stdout.splitlines() == answers, result.stderr


def test_without_torch_the_error_names_the_command_that_installs_it():
    for use in ("import vtsearch.torch", "import vtsearch; vtsearch.torch.rank"):
        result = run(f"import sys; sys.modules['torch'] = None; {use}")
        assert "ModuleNotFoundError: needs torch: pip install 'vtsearch[train]'" in result.stderr


def test_operators_are_reachable_as_an_attribute_of_the_package():
    result = run("import torch, vtsearch; print(vtsearch.torch.rank.__module__, torch.ops.vtsearch.rank)")
    assert result.stdout.split() == ["vtsearch.torch", "vtsearch.rank"], result.stderr


def test_the_page_has_the_schemas_of_the_operators():
    rows = re.findall(r"^\| `torch\.ops\.vtsearch\.(\w+)` \| `(.*)` \|$", PAGE.read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == list(SAMPLES)
    for name, schema in rows:
        assert str(getattr(torch.ops.vtsearch, name).default._schema) == f"vtsearch::{name}{schema}"
