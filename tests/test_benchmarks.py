"""The comparison of `make bench` runs, on tiny codes; what it says of its figures and of wrong answers is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import SECTIONS, Case
from contenders import CONTENDERS
from report import ratios
from results import Results, Row
from synthetic_codes import KINDS, sample

from vtsearch import _native, ranking

ROOT = Path(__file__).parents[1]
CASES = [case for cases in SECTIONS.values() for case in cases]


def run(*arguments):
    # a child that sees the variables of pytest-xdist switches its benchmarks off
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )


@pytest.mark.slow
def test_the_comparison_measures_every_row_and_writes_its_pages(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- make bench writes this -->\nold\n<!-- to here -->\nafter\n")
    result = run("benchmarks/compare.py", "--quick", "--output", str(tmp_path))
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    missing = [case.name for case in CASES if case.isa in {None, *_native.isas()} and case.shrunk().name not in page]
    assert missing == []
    lines = readme.read_text().splitlines()
    assert lines[:2] + lines[-2:] == ["before", "<!-- make bench writes this -->", "<!-- to here -->", "after"]
    assert any(line.startswith("| mAP, 64 bits") for line in lines)
    assert "old" not in lines
    assert (tmp_path / "docs" / "images" / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert len(Results.load(tmp_path / "build" / "benchmarks.json").rows) == len(CASES) - unavailable()


def unavailable():
    return sum(case.isa not in {None, *_native.isas()} for case in CASES)


@pytest.mark.slow
def test_a_case_runs_under_pytest_benchmark():
    case = next(case for case in CASES if case.items == 1_000)
    node = f"benchmarks/bench_cases.py::bench_case[{case.name}-vtsearch]"
    result = run("-m", "pytest", "--benchmark-only", "-q", node)
    assert "1 passed" in result.stdout, result.stdout


def row(required, one, **more):
    return Row("Ranking", Case("rank", 64, 1_000, 54_000, 10, required), one, **{"all": {}, **more})


def test_a_ratio_is_against_the_better_mode_of_faiss():
    assert row({}, {"vtsearch": 6.0, "FAISS heap": 1.0, "FAISS count": 1.5}).figure("FAISS") == 4.0


def test_a_figure_that_falls_short_is_bold():
    measured = row({"FAISS": 5, "Gpairs/s": 6}, {"vtsearch": 6.0, "FAISS count": 1.5})
    assert ratios(measured) == "**4x FAISS (5)**, 6 Gpairs/s (6)"


def test_memory_is_bounded_from_above():
    speeds = {"vtsearch": 1.0}
    assert ratios(row({"MiB": 64}, speeds, mebibytes=65.0)) == "**65 MiB (64)**"
    assert ratios(row({"MiB": 64}, speeds, mebibytes=63.0)) == "63 MiB (64)"


def test_what_was_not_measured_is_not_judged():
    assert row({"FAISS": 5, "one thread": 1, "MiB": 64}, {"vtsearch": 6.0}).verdicts() == []


@pytest.mark.parametrize("name", ["vtsearch", "FAISS heap"])
def test_a_wrong_distance_is_found(name):
    codes = sample("random", 64, 4, 500)
    distances, indices = ranking.rank(codes.queries, codes.database, 10)
    check = CONTENDERS["rank"][name].check
    check((distances, indices), codes, 10)
    with pytest.raises(AssertionError):
        check((distances + (np.arange(10) == 9), indices), codes, 10)


def test_an_item_that_does_not_lie_at_its_distance_is_found():
    codes = sample("random", 64, 4, 500)
    distances, indices = ranking.rank(codes.queries, codes.database, 10)
    with pytest.raises(AssertionError):
        CONTENDERS["rank"]["usearch"].check((distances, (indices + 1) % 500), codes, 10)


def test_a_wrong_average_precision_is_found():
    codes = sample("ten classes", 64, 4, 500)
    scores = CONTENDERS["map"]["vtsearch"].prepare(codes, None, 1)()
    for name in ("vtsearch", "numpy", "literature"):
        with pytest.raises(AssertionError):
            CONTENDERS["map"][name].check(scores / 2, codes, None)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_have_the_shape_that_was_asked_for(kind):
    queries, database, *_ = sample(kind, 32, 3, 100)
    assert (queries.shape, database.shape) == ((3, 4), (100, 4))


def test_labels_are_about_as_many_as_in_coco():
    labels = sample("80 labels", 64, 10, 10_000).db_labels
    assert labels.shape == (10_000, 80)
    assert labels.any(axis=1).all()
    assert 2.8 < labels.sum(axis=1).mean() < 3.0


def test_codes_far_to_near_come_nearer_for_every_query():
    queries, database, *_ = sample("far to near", 64, 5, 1_000)
    distances = ranking.distances(queries, database)
    assert (np.diff(distances, axis=1) <= 2).all()
    assert (distances[:, :100].min(axis=1) > distances[:, -100:].max(axis=1)).all()


@pytest.mark.slow
def test_the_table_of_frameworks_has_both_numbers_of_every_length():
    options = ("--frameworks", "dpn", "--bits", "8,12", "--epochs", "3")
    result = run("benchmarks/frameworks.py", *options)
    assert result.returncode == 0, result.stderr
    rows = [line.strip("| ").split(" | ") for line in result.stdout.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows] == ["framework", "---", "DPN"]
    assert rows[0][1:3] == ["8 bits", "12 bits"]
    for row in rows[2:]:
        for cell in row[1:3]:
            trained, untrained = map(float, cell.split(" / "))
            assert trained > untrained + 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "options", "rows"),
    [
        ("weighted.py", ("--items", "3000", "--seconds", "0.01"), 6),
        ("multi_index.py", ("--items", "20000", "--codes", "clusters"), 5),
        ("multi_index.py", ("--items", "3000", "--mixtures", "3"), 6),
        ("living_index.py", ("--items", "100000", "vtsearch"), 16),
    ],
)
def test_the_other_comparisons_print_their_rows(script, options, rows):
    result = run(f"benchmarks/{script}", *options)
    assert result.returncode == 0, result.stderr
    assert sum(line.startswith("|") for line in result.stdout.splitlines()) == 2 + rows
