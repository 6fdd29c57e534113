"""Every report is parsed back; its numbers are those of the runs."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vtsearch.codes import pack
from vtsearch.evaluation import evaluate
from vtsearch.reproduction import Cell, GridFolder, Recipe, Row, axes_of, collect, write_reports
from vtsearch.reproduction.grid_folder import Failure, Request
from vtsearch.reproduction.page import page
from vtsearch.reproduction.results import Collection, Finished
from vtsearch.reproduction.tables import HEAD, latex, markdown, table
from vtsearch.training.result import RunResult, read_result, score, write_result

PLACE = ("cifar10@54000", "vts32", "all", "csq", 16)
PUBLISHED = 96.0  # table 1, VTS32, CSQ, 16 bits
MINUS = "\N{MINUS SIGN}"
OTHER_RECIPE = "This is not the published recipe."


def evaluation(seed, noise):
    """Of codes that lie near a center for each class: some retrieval, many ties."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 5, 700)
    features = np.random.default_rng(0).normal(size=(5, 16))[labels] + noise * draw.normal(size=(700, 16))
    codes = pack(features)
    return evaluate(codes[:100], codes[100:], labels[:100], labels[100:], bits=16)


def finished(seed, tmp_path):
    best, last = evaluation(seed, 1.0), evaluation(seed, 1.5)
    result = RunResult(
        final=score(last),
        k=None,
        baselines={},
        best=best.mean_average_precision.expected,
        best_epoch=2,
        chosen_on="query",
        epochs=5,
        seconds=60.0,
        images_per_second=100.0,
        chosen=score(best),
    )
    environment = {"packages": {"vtsearch": "0.1.0"} | dict.fromkeys(("torch", "timm", "numpy"), "1"), "device": "CPU"}
    return Finished(Cell(*PLACE, seed), tmp_path, result, last, best, environment)


@pytest.fixture
def collection(tmp_path):
    """Three runs of a published cell, one that failed, and one that is missing."""
    runs = tuple(finished(seed, tmp_path) for seed in range(3))
    recipe = Recipe("paper", {"epochs": 3})
    broken = Failure(Cell(*PLACE[:3], "hashnet", 32, 0), "weights_16.npz: <no> such file & more", "Traceback ...")
    rows = (
        Row(*PLACE, str(recipe), runs=runs),
        Row(*PLACE[:3], "hashnet", 32, str(recipe), missing=(1,), failed=(broken,)),
    )
    axes = axes_of(2, protocols=["cifar10@54000"], backbones=["vts32"], frameworks=["csq", "hashnet"], bits=[16, 32])
    return Collection(Request(recipe, (axes,)), rows)


@pytest.fixture
def numbers(collection):
    """What the first row must say, worked out here."""
    runs = collection.rows[0].runs
    best = [100 * run.result.chosen["expected"] for run in runs]
    last = [100 * run.result.final["expected"] for run in runs]
    worst, top = ([100 * run.result.chosen[rule] for run in runs] for rule in ("worst", "best"))
    return {
        "best": f"{np.mean(best):.2f} ± {np.std(best, ddof=1):.2f}",
        "last": f"{np.mean(last):.2f} ± {np.std(last, ddof=1):.2f}",
        "difference": f"{np.mean(best) - PUBLISHED:+.2f}",
        "ties": f"{np.mean(worst):.2f} to {np.mean(top):.2f}",
    }


def words_of(numbers):
    return [
        *("VTS32", "all", "CSQ", "16", numbers["best"], "96.0"),
        *(numbers["difference"], numbers["last"], numbers["ties"], "3"),
    ]


def test_the_published_number_is_the_paper_s(collection):
    assert collection.rows[0].published == PUBLISHED


def test_markdown_holds_the_numbers(collection, numbers):
    text = markdown(collection, ["fig2_cifar10@54000_16bits.png"])
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert lines[0] == list(HEAD)
    assert lines[2] == words_of(numbers)
    assert lines[3] == ["VTS32", "all", "HashNet", "32", "-", "97.1", "-", "-", "-", "0 (1 failed, 1 missing)"]
    assert "**recipe: paper, changed: epochs 3**" in text
    assert "protocol cifar10@54000, ties expected, normalizer retrieved" in text
    assert "mAP@all" in text
    assert "![fig2_cifar10@54000_16bits.png](fig2_cifar10@54000_16bits.png)" in text
    assert "weights_16.npz" in text
    assert ["TransHash", "90.8", "91.1", "91.7"] in lines


def test_latex_holds_the_numbers(collection, numbers):
    text = latex(collection)
    (line,) = [line for line in text.splitlines() if " & CSQ & " in line]
    cells = line.removesuffix(r" \\").split(" & ")
    assert [cell.replace(r"$\pm$", "±") for cell in cells] == words_of(numbers)
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert "recipe: paper, changed: epochs 3" in text
    body = re.sub(r"\\[%&_#]|\\begin\{.*?\}\{.*?\}|% .usepackage.*", "", text)
    assert not re.search(r"[%_#]", body)
    assert text.count("{") == text.count("}")


def test_csv_holds_the_numbers(collection):
    first, second = csv.DictReader(io.StringIO(table(collection)))
    scores = [100 * run.result.chosen["expected"] for run in collection.rows[0].runs]
    assert float(first["best_mean"]) == pytest.approx(np.mean(scores), rel=1e-12)
    assert float(first["best_deviation"]) == pytest.approx(np.std(scores, ddof=1), rel=1e-9)
    assert float(first["difference"]) == pytest.approx(np.mean(scores) - PUBLISHED, rel=1e-9)
    assert (first["runs"], first["seeds"], first["ties"], first["normalizer"]) == (
        "3",
        "0 1 2",
        "expected",
        "retrieved",
    )
    assert (first["metric"], first["chosen_on"], first["recipe"]) == (
        "mAP@all",
        "query",
        "recipe: paper, changed: epochs 3",
    )
    assert (second["runs"], second["failed"], second["missing"], second["best_mean"]) == ("0", "1", "1", "")


def embedded(text):
    """The document in a page."""
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(data)


def blocks_of(text):
    return [block for section in embedded(text)["sections"] for block in section["blocks"]]


def rows_of(text):
    """The texts of all rows of tables."""
    tables = [block for block in blocks_of(text) if block["kind"] == "table"]
    rows = [row for block in tables for row in block["rows"] if isinstance(row, list)]
    return [[cell if isinstance(cell, str) else cell["text"] for cell in row] for row in rows]


def test_the_page_opens_with_the_numbers_beside_the_paper_and_needs_nothing_else(collection, numbers):
    text = page(collection)
    first = embedded(text)["sections"][0]
    assert first["title"] == "Beside the paper"
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    assert [*words_of(numbers), "0 1 2"] in rows_of(text)
    (pivot,) = [block for block in first["blocks"] if block.get("title") == f"mAP on {PLACE[0]}"]
    csq = next(row for row in pivot["rows"] if isinstance(row, list) and row[0] == "CSQ")
    assert csq[1]["text"] == numbers["best"]
    assert csq[1]["detail"].startswith(f"paper 96.0, {numbers['difference'].replace('-', MINUS)}; ")
    assert f"last epoch {numbers['last']}" in csq[1]["detail"]
    warning = {"kind": "text", "text": f"{Recipe('paper', {'epochs': 3})}. {OTHER_RECIPE}", "tone": "warning"}
    assert first["blocks"][0] == warning
    failure = collection.failures[0]
    assert [failure.cell.name, failure.error] in rows_of(text)
    assert "<no>" not in text


def test_the_page_has_the_published_figure_of_the_runs(collection):
    (figure,) = [block for block in blocks_of(page(collection)) if block.get("title") == f"Figure 2 on {PLACE[0]}"]
    curves = np.array([[(p.recall, p.precision) for p in run.best.published_curve] for run in collection.rows[0].runs])
    (series,) = figure["panels"][0]["series"]
    assert series["name"] == "CSQ"
    np.testing.assert_allclose(series["points"], curves.mean(axis=0), rtol=1e-5)


def test_an_unchanged_recipe_is_not_warned_of(collection):
    same = replace(
        collection,
        request=replace(collection.request, recipe=Recipe("paper")),
        rows=tuple(replace(row, recipe="recipe: paper") for row in collection.rows),
    )
    assert OTHER_RECIPE not in page(same)
    foreign = replace(same, rows=(replace(same.rows[0], recipe="recipe: paper, changed: epochs 3"),))
    assert page(foreign).count(OTHER_RECIPE) == 1


def test_a_grid_without_runs_has_a_page(collection):
    empty = replace(collection, rows=(replace(collection.rows[1], failed=(), missing=(0,)),))
    assert ["HashNet", "\N{EN DASH}"] in rows_of(page(empty))


@pytest.mark.slow
def test_images_that_are_not_the_published_ones_are_told(finished_grid, changed_recipe, tmp_path):
    shutil.copytree(finished_grid, tmp_path / "grid")
    grid = GridFolder(tmp_path / "grid")
    run = grid.run(Cell("digits", "test_vit", "all", "csq", 12, 0))
    remark = "not the published digits: 90 of 100 queries"
    write_result(run, replace(read_result(run), remark=remark))
    collection = collect(grid, grid.request())
    assert [(row.framework, row.seeds, row.recipe) for row in collection.rows] == [
        ("csq", (1,), changed_recipe),
        ("csq", (0,), f"{changed_recipe}; {remark}"),
        ("hashnet", (0, 1), changed_recipe),
    ]
    for text in (page(collection), markdown(collection), latex(collection), table(collection)):
        assert remark in text


@pytest.mark.slow
def test_the_reports_of_a_grid_are_those_of_its_runs(finished_grid, changed_recipe):
    grid = GridFolder(finished_grid)
    rows = collect(grid, grid.request()).rows
    assert [(row.framework, row.seeds) for row in rows] == [("csq", (0, 1)), ("hashnet", (0, 1))]
    assert {row.recipe for row in rows} == {changed_recipe}
    for row in rows:
        runs = [grid.run(Cell(row.protocol, row.backbone, row.features, row.framework, row.bits, s)) for s in (0, 1)]
        best = [100 * read_result(run).chosen["expected"] for run in runs]
        assert row.best.mean == pytest.approx(np.mean(best), rel=1e-12)
        assert row.published is None
    text = (finished_grid / "index.html").read_text()
    assert any(row[0] == "HashNet" for row in rows_of(text))
    titles = [section["title"] for section in embedded(text)["sections"]]
    assert titles[:4] == ["Beside the paper", "Differences", "Curves", "Codes"]
    assert {"Queries", "Training", "Time", "To repeat this"} < set(titles)
    assert embedded(text)["pictures"]


@pytest.mark.slow
def test_reports_are_written_again_alike_and_old_figures_go(finished_grid):
    grid = GridFolder(finished_grid)
    names = ("index.html", "results.md", "results.tex", "results.csv", "fig2_digits_12bits.png")
    before = {name: (finished_grid / name).read_bytes() for name in names}
    (finished_grid / "fig2_digits_48bits.png").write_bytes(b"of a run that went")
    write_reports(finished_grid, collect(grid, grid.request()))
    assert {name: (finished_grid / name).read_bytes() for name in names} == before
    assert not (finished_grid / "fig2_digits_48bits.png").exists()


def test_curves_are_means_over_runs_in_the_published_form(collection):
    from vtsearch.reproduction.curves import published_figure

    row = collection.rows[0]
    published, precision, recall, exact = published_figure([row]).axes
    curves = np.array([[(p.n, p.precision, p.recall) for p in run.best.published_curve] for run in row.runs])
    assert curves[0, :, 0].tolist() == [1, 500]
    (line,) = published.lines
    np.testing.assert_allclose(line.get_xydata(), curves.mean(axis=0)[:, [2, 1]])
    np.testing.assert_allclose(precision.lines[0].get_xydata(), curves.mean(axis=0)[:, [0, 1]])
    np.testing.assert_allclose(recall.lines[0].get_xydata(), curves.mean(axis=0)[:, [0, 2]])
    radii = np.mean([[(p.recall, p.precision) for p in run.best.radius_curve] for run in row.runs], axis=0)
    np.testing.assert_allclose(exact.lines[0].get_xydata()[-1], radii[-1])
