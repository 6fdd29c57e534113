"""Every report is parsed back; its numbers are those of the runs."""

from __future__ import annotations

import csv
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

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


class Tables(HTMLParser):
    """Words of every table cell, all tags, and what must be fetched to see the page."""

    def __init__(self):
        super().__init__()
        self.rows, self.open, self.fetched, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "link", "br", "img"}:
            self.open.append(tag)
        self.fetched += [value for name, value in attributes if name == "src" or (tag == "link" and name == "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def parsed(text):
    parser = Tables()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_the_page_holds_the_numbers_and_needs_nothing_else(collection, numbers):
    text = page(collection)
    found = parsed(text)
    assert found.fetched == []
    assert "<script" not in text
    assert [*words_of(numbers), "0 1 2"] in found.rows
    csq = next(row for row in found.rows if row[0] == "CSQ")
    assert csq[1].startswith(numbers["best"])
    assert "paper 96.0" in csq[1]
    assert f"last epoch {numbers['last']}" in csq[1]
    assert "prefers-color-scheme: dark" in text
    assert "weights_16.npz: <no> such file & more" in found.text
    assert "changed: epochs 3. This is not the published recipe." in found.text


def test_an_unchanged_recipe_is_not_warned_of(collection):
    same = replace(
        collection,
        request=replace(collection.request, recipe=Recipe("paper")),
        rows=tuple(replace(row, recipe="recipe: paper") for row in collection.rows),
    )
    assert "not the published recipe" not in page(same)
    foreign = replace(same, rows=(replace(same.rows[0], recipe="recipe: paper, changed: epochs 3"),))
    assert page(foreign).count("not the published recipe") == 1


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
    found = parsed((finished_grid / "index.html").read_text())
    assert any(row[0] == "HashNet" for row in found.rows)
    assert "k = 1, 500, 1000" in found.text  # the figure is part of the page


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
