from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from vtsearch import reference
from vtsearch._atomic_io import write_file
from vtsearch.evaluation import Evaluation, compare, evaluate
from vtsearch.reports import (
    PicturedSide,
    ReportContext,
    RetrievalRow,
    are_relevant,
    label_text,
    retrieval_rows,
    spread_over_classes,
    write_report,
)

CONTEXT = ReportContext("flowers@100", "5" * 64, "d" * 64, framework="csq", baselines={"random codes": 0.25})


@pytest.fixture
def evaluation():
    draw = np.random.default_rng(0)
    codes = reference.pack(draw.integers(0, 2, (600, 16)))
    labels = draw.integers(0, 2, (600, 3))
    return evaluate(codes[:20], codes, labels[:20], labels, 100)


@pytest.fixture
def comparison():
    draw = np.random.default_rng(1)
    codes, others = (reference.pack(draw.integers(0, 2, (600, bits))) for bits in (16, 8))
    labels = draw.integers(0, 2, (600, 3))
    return compare(codes[:20], codes, others[:20], others, query_labels=labels[:20], db_labels=labels, k=100)


def row(color="red", relevant=(True, False)):
    image = Image.new("RGB", (30, 40), color)
    return RetrievalRow(image, "a query", [image, image], [0, 3], relevant)


def test_the_json_holds_the_numbers_and_what_they_depend_on(tmp_path, evaluation):
    write_report(tmp_path / "deep" / "report", evaluation, CONTEXT)
    report = json.loads((tmp_path / "deep" / "report" / "report.json").read_text())
    assert Evaluation.from_dict(report["evaluation"]) == evaluation
    assert ReportContext(**report["context"]) == CONTEXT
    assert report["environment"]["numpy"] == np.__version__


def test_every_table_of_numbers_names_its_choices(tmp_path, evaluation):
    text = write_report(tmp_path, evaluation, CONTEXT).read_text()
    line = "protocol flowers@100, split 555555555555, k = 100, ties {}, normalizer retrieved"
    assert text.count(line.format("expected")) == 3
    assert text.count(line.format("as each row says")) == 1
    assert f"**{evaluation.mean_average_precision.expected:.6f}**" in text
    assert "random codes | 0.250000" in text
    assert "NDCG@100" in text
    assert "![pr curve](pr_curve.png)" in text


def test_the_interval_over_queries_stands_beside_the_bounds_by_ties(tmp_path, evaluation):
    interval = evaluation.bootstrap_interval
    text = write_report(tmp_path, evaluation, CONTEXT).read_text()
    assert f"95 % interval of the expected value: **{interval.low:.6f} to {interval.high:.6f}**" in text
    assert "BCa bootstrap, 10,000 resamples of the queries, seed 0" in text
    alone = replace(evaluation, bootstrap_interval=None)
    assert "interval" not in write_report(tmp_path, alone, CONTEXT).read_text()


def test_a_comparison_is_reported_with_its_choices(tmp_path, evaluation, comparison):
    context = replace(CONTEXT, against="other codes")
    text = write_report(tmp_path, evaluation, context, comparison=comparison).read_text()
    difference = comparison.difference
    assert "## Against other codes\n" in text
    assert f"| the other codes | {comparison.other_mean_average_precision:.6f} |" in text
    assert f"| **{difference.mean:+.6f}** |" in text
    assert f"| 95 % interval of the difference | {difference.low:+.6f} to {difference.high:+.6f} |" in text
    assert f"| p, two-sided | {comparison.test.p_value:.6f} |" in text
    assert "10,000 arrangements of signs (random), seed 0" in text
    assert json.loads((tmp_path / "report.json").read_text())["comparison"] == asdict(comparison)


def test_a_report_without_a_comparison_has_none(tmp_path, evaluation):
    assert "Against" not in write_report(tmp_path, evaluation, CONTEXT).read_text()
    assert json.loads((tmp_path / "report.json").read_text())["comparison"] is None


def test_tables_have_as_many_cells_in_each_line(tmp_path, evaluation, comparison):
    context = ReportContext(protocol="a|b", against="c|d")
    text = write_report(tmp_path, evaluation, context, comparison=comparison).read_text()
    for table in (part for part in text.split("\n\n") if part.startswith("|")):
        lines = [line.replace("\\|", "") for line in table.strip().splitlines()]
        assert len({line.count("|") for line in lines}) == 1


def test_a_context_may_be_unknown(tmp_path, evaluation):
    assert "not given" in write_report(tmp_path, evaluation).read_text()


def colors(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def test_the_curves_are_drawn(tmp_path, evaluation):
    write_report(tmp_path, evaluation, CONTEXT)
    pixels = colors(tmp_path / "pr_curve.png")
    for color in ("#2563a8", "#e07b00"):
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == wanted).all(axis=1).sum() > 200


def test_relevant_answers_are_framed_green_and_others_red(tmp_path, evaluation):
    write_report(tmp_path, evaluation, CONTEXT, retrievals=[row(), row("blue")])
    pixels = colors(tmp_path / "retrievals.png")
    for color in ([0x2A, 0x9D, 0x4A], [0xD1, 0x36, 0x2F], [255, 0, 0], [0, 0, 255]):
        assert (pixels == color).all(axis=1).sum() > 200


def test_unknown_relevance_has_neither_color(tmp_path, evaluation):
    write_report(tmp_path, evaluation, CONTEXT, retrievals=[row(relevant=None)])
    pixels = colors(tmp_path / "retrievals.png")
    assert not (pixels == [0x2A, 0x9D, 0x4A]).all(axis=1).any()


def test_drawing_leaves_pyplot_alone(tmp_path, evaluation):
    import sys

    known = "matplotlib.pyplot" in sys.modules
    write_report(tmp_path, evaluation, CONTEXT, retrievals=[row()])
    assert ("matplotlib.pyplot" in sys.modules) == known


def test_rows_hold_the_nearest_answers_and_their_relevance():
    codes = reference.pack([[0, 0], [0, 1], [1, 1], [0, 0]])
    shades = [Image.new("RGB", (1, 1), (shade, 0, 0)) for shade in range(4)]
    side = PicturedSide(codes, np.array([0, 0, 1, 1]), shades.__getitem__)
    (found,) = retrieval_rows(side, side, [0], ["cat", "dog"], answers=3)
    assert (found.title, found.distances, found.relevant) == ("cat", [0, 0, 1], [True, False, True])
    assert [image.getpixel((0, 0))[0] for image in (found.query, *found.answers)] == [0, 0, 3, 1]


def test_relevance_of_multi_label_items_is_a_shared_class():
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    assert are_relevant(labels[0], labels) == [True, False, False]


def test_labels_are_named_as_far_as_there_are_names():
    assert label_text(np.int64(1), ("cat", "dog")) == "dog"
    assert label_text(np.int64(7), ("cat", "dog")) == "7"
    assert label_text(np.array([1, 0, 1]), ("cat", "dog")) == "cat, 2"


def test_a_file_is_replaced_or_left_alone(tmp_path):
    path = tmp_path / "report.md"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, evaluation):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_report(tmp_path / "file", evaluation)
    with pytest.raises(OSError, match=r"nowhere/report\.md"):
        write_file(tmp_path / "nowhere" / "report.md", b"")


def test_pictured_queries_are_of_every_class():
    labels = np.repeat([2, 0, 1], 5)
    assert labels[spread_over_classes(labels, 3)].tolist() == [0, 1, 2]
    assert sorted(spread_over_classes(labels, 99)) == list(range(15))
    assert spread_over_classes(labels, 0) == []


def test_pictured_queries_with_several_labels_count_for_the_first():
    rows = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1]])
    assert spread_over_classes(rows, 3) == [2, 1, 0]


def test_pictured_queries_are_left_out_of_their_answers():
    codes, labels = np.array([[0], [1], [3]], dtype=np.uint8), np.array([0, 1, 0])
    side = PicturedSide(codes, labels, lambda item: item)
    rows = retrieval_rows(side, side, [2, 0], answers=3, exclude=np.array([0, 1, -1]))
    assert [row.answers for row in rows] == [[2, 1], [1, 2]]
    alone = PicturedSide(codes[:1], labels[:1], lambda item: item)
    assert retrieval_rows(alone, alone, [0], exclude=np.array([0])) == []
