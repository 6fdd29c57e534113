"""Every instruction set in turn, and the count of native answers that were compared with the reference."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings

from vtsearch import _database, _native

# Read when torch is imported: on small models its threads gain nothing, and wait for each other where others work too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("fuzz", max_examples=5000, deadline=None)  # make fuzz

COMPARED = pytest.StashKey[Counter]()


def pytest_ignore_collect(collection_path, config):
    """pytest --benchmark-only passes the tests by, rather than naming each as skipped."""
    return True if config.getoption("benchmark_only", default=False) else None


def pytest_addoption(parser):
    parser.addoption(
        "--whole-bytes",
        action="store_true",
        help="leave out codes of bits that do not fill their bytes: the engine sees bytes (for slow builds)",
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("whole_bytes"):
        return
    left_out = [item for item in items if hasattr(item, "callspec") and item.callspec.params.get("bits", 8) % 8]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_configure(config):
    # A shell that runs tests in the background has them ignore Ctrl-C, and so would the programs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[COMPARED] = Counter()


def pytest_terminal_summary(terminalreporter, config):
    compared = config.stash[COMPARED]
    if compared:
        counts = ", ".join(f"{isa} {compared[isa]:,} cases" for isa in _native.isas())
        terminalreporter.write_line(f"native == reference: {counts}")


def pytest_sessionfinish(session):
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # one of several processes: what it compared goes to the one that reports
        output["compared"] = dict(session.config.stash[COMPARED])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[COMPARED].update(getattr(node, "workeroutput", {}).get("compared", {}))


@pytest.fixture(params=_native.isas())
def isa(request):
    """Run a test once for each instruction set that this machine has."""
    before = _native.active_isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def assert_same_elements(one, other):
    """Bytes are compared first: that takes a tenth of the time of numpy's words about a difference."""
    if not np.array_equal(one, other):
        np.testing.assert_array_equal(one, other)


def assert_close_elements(one, other, rtol):
    """As numpy's ``assert_allclose``, whose words about a difference take most of its time."""
    if not np.all(np.abs(one - other) <= 1e-15 + rtol * np.abs(other)):  # false for NaN
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-15)


@pytest.fixture
def agree(request):
    """Assert that the engine's arrays are those of the reference, dtypes included, and count the case."""
    compared = request.config.stash[COMPARED]

    def check(actual, expected, *, rtol=0.0):
        actual = actual if isinstance(actual, tuple) else (actual,)
        expected = expected if isinstance(expected, tuple) else (expected,)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert one.dtype == other.dtype
            assert one.shape == other.shape
            if rtol:
                assert_close_elements(one, other, rtol)
            else:
                assert_same_elements(one, other)
        compared[_native.active_isa()] += 1

    return check


@pytest.fixture(params=[1, 100], ids=["ranges of 8 items", "ranges of 100 bytes"])
def small_ranges(request, monkeypatch):
    for name in ("RANGE_BYTES", "REPORTED_PAIRS", "FEWEST_REPORTED"):
        monkeypatch.setattr(_database, name, request.param)


@pytest.fixture
def mapped(tmp_path):
    """An array as a file: mapped(array, mode)."""
    numbers = itertools.count()

    def write(array, mode="r"):
        path = tmp_path / f"{next(numbers)}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode=mode)

    return write


@pytest.fixture(scope="session")
def chromium():
    """The one browser of a test process, or the reason why there is none: Playwright bears no second one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("VTSEARCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed ($VTSEARCH_CHROMIUM may say where it is)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
