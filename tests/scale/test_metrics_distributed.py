"""An evaluation over processes is that of one process, or an error in all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import evaluating_processes
import numpy as np
import pytest
from evaluating_processes import cases, mistakes, sides

import vtsearch

PROGRAM = Path(evaluating_processes.__file__)
SECONDS = 300


@pytest.fixture(scope="module", params=[2, 3])
def processes(request, tmp_path_factory):
    """What each process found, and the errors that it had."""
    folder = tmp_path_factory.mktemp("processes")
    started = [
        subprocess.Popen([sys.executable, PROGRAM, str(rank), str(request.param), folder], text=True)
        for rank in range(request.param)
    ]
    assert [each.wait(timeout=SECONDS) for each in started] == [0] * request.param
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(request.param)]


def same(found, expected):
    """Equal, but for the order in which the precisions of the order by index are added."""
    by_index = [each["mean_average_precision"].pop("index") for each in (found, expected)]
    assert by_index[0] == pytest.approx(by_index[1], rel=1e-12)
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", cases())
def test_every_process_has_the_evaluation_of_all_items(processes, name):
    arguments, k, options = cases()[name]
    for found, _ in processes:
        expected = json.loads(json.dumps(vtsearch.evaluate(*arguments, k, **options).to_dict()))
        same(found[name], expected)
    assert all(found[name] == processes[0][0][name] for found, _ in processes)


DIFFERENT = {
    "queries": "query_codes",
    "labels of queries": "query_labels",
    "k": "k",
    "normalizer": "normalizer",
    "exclude": "exclude",
    "no exclude": "exclude",
}
AT_ONE = {
    "dtype at one": "TypeError: db_codes: expected ",
    "threads at one": "ValueError: threads: expected ",
    "values of labels at one": "ValueError: db_labels: expected 0 and 1",
}
EVERYWHERE = {
    "bits": "ValueError: bits: expected at least",
    "k below 1": "ValueError: k: expected",
    "unknown normalizer": "ValueError: normalizer: expected one of",
    "exclude beyond": "ValueError: exclude: expected positions from 0 to 60",
    "nothing is allowed": "ValueError: mask: expected at least one item",
    "no codes": "ValueError: db_codes: expected at least one code in one of the parts, got none",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", mistakes(0))
def test_a_mistake_of_one_process_is_an_error_of_all(processes, name):
    errors = [found[name] for _, found in processes]
    if name in DIFFERENT:
        last = len(errors) - 1
        message = (
            f"ValueError: {DIFFERENT[name]}: expected the same on every rank, got another on rank {last} than on 0"
        )
        assert errors == [message] * len(errors)
        return
    expected = (AT_ONE | EVERYWHERE)[name]
    assert errors[-1].startswith(expected)
    others = f"RuntimeError: rank {len(errors) - 1}: {expected}" if name in AT_ONE else expected
    assert all(error.startswith(others) for error in errors[:-1])


@pytest.mark.parametrize("name", ["multi True, k 10, min", "mask", "exclude self"])
def test_without_a_process_group_the_part_is_all(name):
    from vtsearch.scale.distributed import evaluate

    arguments, k, options = cases()[name]
    assert evaluate(*arguments, k, **options) == vtsearch.evaluate(*arguments, k, **options)


def test_a_wrong_argument_of_one_process_is_named():
    from vtsearch.scale.distributed import evaluate

    with pytest.raises(TypeError, match="db_codes: expected"):
        evaluate(*sides()[:1], np.zeros((3, 2)), *sides()[2:], 5)
