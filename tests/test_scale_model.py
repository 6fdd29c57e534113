"""The model of a cluster: its tables are those of the page, its figures stand in the measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scale_figures import SOURCES, Figures, Source
from scale_model import (
    Duplicates,
    Layout,
    Machine,
    Photographs,
    Search,
    check,
    gpu_hours,
    histogram_megabytes,
    latency,
    metric_core_hours,
    nodes_for,
    overhead_seconds,
    scan_seconds,
)
from scale_tables import BLOCK, BLOCKS, PAGE, rewritten, short

ROOT = Path(__file__).parents[1]
SEARCH = Search(64, 1e9)


@pytest.fixture
def figures():
    return Figures.documented()


@pytest.fixture
def kept(figures):
    """Figures of processes that release no pages."""
    return Figures({name: figures[name] for name in SOURCES} | {"remap": 0.0})


def test_a_process_with_many_codes_maps_them_again(figures, kept):
    for items, again in ((30e6, 0.0), (50e6, 400 * figures["remap"] / 1e3)):
        with_pages, without = (scan_seconds(each, Search(1, items), Layout(Machine(1))) for each in (figures, kept))
        assert with_pages - without == pytest.approx(again)


def test_the_tables_of_the_page_are_what_the_script_writes(figures):
    page = PAGE.read_text()
    assert {found[2] for found in BLOCK.finditer(page)} == set(BLOCKS)
    assert rewritten(page, figures) == page


def test_the_script_prints_its_tables():
    command = [sys.executable, "benchmarks/scale_model.py", "--markdown"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert all(table.strip() in result.stdout for table in (call(Figures.documented()) for call in BLOCKS.values()))


@pytest.mark.parametrize("name", SOURCES)
def test_a_figure_stands_once_in_its_section_of_the_measurements(name):
    assert SOURCES[name].read() > 0


def test_a_figure_that_is_gone_is_missed():
    with pytest.raises(LookupError, match="0 lines like"):
        Source("the model of a cluster", r"\| scan, 7 queries \| # \|", "", "").read()


def test_a_figure_that_stands_there_twice_is_refused():
    with pytest.raises(LookupError, match="expected one"):
        Source("the model of a cluster", r"\| # \|", "", "").text()


def test_measured_figures_take_the_place_of_documented_ones(figures, tmp_path):
    path = tmp_path / "here.json"
    path.write_text(json.dumps({"scan_1": 9.0}))
    measured = Figures.load(path)
    assert (measured["scan_1"], measured["scan_64"]) == (9.0, figures["scan_64"])


def test_figures_without_one_of_them_are_refused():
    with pytest.raises(LookupError, match="got none for actor"):
        Figures(dict.fromkeys(set(SOURCES) - {"actor"}, 1.0))


def test_speeds_between_measured_batches_lie_between_them(figures):
    speeds = [figures.pairs(queries) for queries in (1, 3, 16, 40, 64, 300, 1024, 5000)]
    assert speeds == sorted(speeds)
    assert [speeds[place] / 1e9 for place in (0, 2, 4, 6, 7)] == pytest.approx(
        [figures[f"scan_{size}"] for size in (1, 16, 64, 1024, 1024)]
    )


def test_shards_that_share_cores_are_no_faster(kept):
    machine = Machine(cores=2)
    alone, one, two, four = (
        scan_seconds(kept, SEARCH, Layout(machine, shards, threads))
        for shards, threads in ((0, None), (1, 1), (2, 1), (4, 1))
    )
    assert one == pytest.approx(2 * two)
    assert two == four == alone
    assert latency(kept, SEARCH, Layout(machine, 4)) > latency(kept, SEARCH, Layout(machine, 0))


def test_nodes_share_the_scan(figures):
    one, four = (scan_seconds(figures, SEARCH, Layout(Machine(64), nodes, nodes=nodes)) for nodes in (1, 4))
    assert one == pytest.approx(4 * four)


def test_few_queries_are_bound_by_memory(kept):
    machine = Machine(cores=1000, bandwidth=100.0)
    assert scan_seconds(kept, Search(1, 1e9), Layout(machine)) == pytest.approx(8e9 / 100e9)


def test_each_shard_adds_a_call_a_transfer_and_a_part_of_the_merge(figures):
    two, four = (overhead_seconds(figures, Search(1000, 1e6, 100), shards) for shards in (2, 4))
    assert four["transfer"] == pytest.approx(2 * two["transfer"])
    assert four["merge"] == pytest.approx(2 * two["merge"])
    assert four["call"] - two["call"] == pytest.approx(2 * figures["next_actor"] / 1e3)


def test_results_are_no_more_than_a_shard_has_items(figures):
    few, all_ = (overhead_seconds(figures, Search(1, 100, k), 10)["merge"] for k in (10, 1000))
    assert few == all_


def test_nodes_for_a_rate_of_queries(kept):
    machine = Machine(cores=64)
    expected = 1e5 * 1e9 / kept.pairs(64) / 64
    assert nodes_for(kept, 1e5, 1e9, 64, machine) == pytest.approx(expected)


def test_photographs_take_what_their_pixels_and_their_number_do(figures):
    one, many = Photographs(1e9, 1.0), Photographs(1e9, 12.0)
    assert many.terabytes(figures) == pytest.approx(12 * one.terabytes(figures))
    decoding = (many.decode_hours(figures) - one.decode_hours(figures)) * 3600
    assert decoding == pytest.approx(11e9 * figures["decode"] / 1e3)
    assert gpu_hours(3600e3, 1.0, 1.0, 1.0) == pytest.approx(1.0)


def test_sets_of_blocks_are_all_that_near_codes_may_share():
    work = Duplicates(1e9, radius=4, chosen=2)
    assert (work.sets, work.key_bits) == (15, pytest.approx(64 / 3))
    assert Duplicates(1e9, radius=3, chosen=1).sets == 4


def test_more_codes_take_longer_keys(figures):
    plans = [Duplicates.planned(figures, items, 4) for items in (1e5, 1e7, 1e9, 1e11)]
    bits = [plan.key_bits for plan in plans]
    assert bits == sorted(bits)
    assert bits[0] < bits[-1]


@pytest.mark.parametrize("radius", [0, 1, 4, 8])
def test_a_plan_is_the_fastest(figures, radius):
    plan = Duplicates.planned(figures, 1e9, radius)
    others = [Duplicates(1e9, radius, chosen).core_hours(figures) for chosen in range(1, 7)]
    assert plan.core_hours(figures) == min(others)


def test_duplicates_grow_with_codes_and_their_pairs(figures):
    one, ten = Duplicates(1e9, 4, 2), Duplicates(1e10, 4, 2)
    keys = 15e9 * figures["key"] / 3.6e12
    assert ten.core_hours(figures) - 10 * keys == pytest.approx(100 * (one.core_hours(figures) - keys))
    assert ten.terabytes() == pytest.approx(10 * one.terabytes())


def test_histograms_are_as_large_for_any_number_of_items(figures):
    assert histogram_megabytes(5000) == pytest.approx(5.2)
    assert metric_core_hours(figures, 5000, 2e9) == pytest.approx(2 * metric_core_hours(figures, 5000, 1e9))


def test_predictions_are_held_against_measurements(figures, tmp_path):
    path = tmp_path / "shards.json"
    layout = Layout(Machine(2), 2)
    seconds = latency(figures, Search(16, 1e7, 10), layout)
    rows = [
        {"shards": 2, "queries": 16, "items": 10_000_000, "k": 10, "seconds": seconds},
        {"shards": 0, "queries": 16, "items": 10_000_000, "k": 10, "seconds": seconds / 2},
    ]
    path.write_text(json.dumps(rows))
    table = check(figures, path, Machine(2)).splitlines()
    assert table[2].startswith("| 2 | 16 | 10,000,000 |")
    assert "| +0% |" in table[2]
    assert table[3].startswith("| in one process | 16 |")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0387, "0.039"), (9.4, "9.4"), (33.2, "33"), (810.4, "810"), (18_612, "18,600"), (171_000, "171,000")],
)
def test_numbers_of_the_tables_have_two_or_three_digits(number, text):
    assert short(number) == text
