"""The document of a report: its numbers are those of the evaluations, its bytes those of its inputs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import statistics
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from saved_runs import CLASSES, ITEMS, QUERIES, clustered, save_grid, save_images, save_index, save_run

from vtsearch import compare, evaluate
from vtsearch.data.pictures import image_loader
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.ranking import rank
from vtsearch.reports import write_html_report
from vtsearch.reports.sections.comparisons import holm, probability

MINUS = "\N{MINUS SIGN}"


def document(folders, output, **options):
    """The document in the report of some folders."""
    html = write_html_report(folders, output / "report.html", **options).read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(data)


def blocks(report, kind=None):
    return [b for section in report["sections"] for b in section["blocks"] if kind in (None, b["kind"])]


def block(report, title):
    (found,) = [each for each in blocks(report) if each.get("title") == title]
    return found


def texts(table):
    """The rows of a table as texts."""
    rows = [row for row in table["rows"] if isinstance(row, list)]
    return [[cell if isinstance(cell, str) else cell["text"] for cell in row] for row in rows]


def titles(report):
    return [section["title"] for section in report["sections"]]


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    return save_grid(tmp_path_factory.mktemp("grid"))


@pytest.fixture(scope="module")
def grid_report(grid, tmp_path_factory):
    return document(grid, tmp_path_factory.mktemp("report"), titles={"csq": "CSQ"})


def evaluation_of(run):
    return json.loads((run / "report.json").read_text())["evaluation"]


def percent(values):
    return f"{100 * statistics.fmean(values):.2f} ± {100 * statistics.stdev(values):.2f}"


# ---------------------------------------------------------------------------------------------------------------------
# Numbers


def test_a_report_begins_with_methods_by_bits_and_ends_with_how_to_repeat_it(grid_report):
    assert titles(grid_report) == [
        *("Results", "Differences", "Curves", "Codes", "Training images in the database", "Classes", "Queries"),
        *("Training", "Time", "To repeat this"),
    ]
    assert grid_report["lead"] == "8 runs · 2 methods · 16, 32 bits"


def test_the_main_table_holds_means_deviations_and_bounds_over_seeds(grid, grid_report):
    table = block(grid_report, "mAP@all")
    assert table["head"] == ["method", "16 bits", "32 bits"]
    scores = {run.name: evaluation_of(run)["mean_average_precision"] for run in grid}
    for row, framework in zip(table["rows"][:2], ("csq", "hashnet"), strict=True):
        for cell, bits in zip(row[1:], (16, 32), strict=True):
            mine = [scores[f"{framework}-{bits}-{seed}"] for seed in (0, 1)]
            assert cell["text"] == percent([score["expected"] for score in mine])
            low, high = (100 * statistics.fmean(score[end] for score in mine) for end in ("worst", "best"))
            assert cell["detail"] == f"ties {low:.2f} to {high:.2f}"
            assert cell["strong"] == (framework == "csq")
    assert texts(table)[-1] == ["random codes", "30.00", "30.00"]
    assert "protocol animals, 30 queries, 120 items in the database, ties expected" in table["note"]


def test_a_single_run_shows_the_interval_of_its_evaluation(tmp_path):
    run = save_run(tmp_path / "run")
    found = evaluation_of(run)
    table = block(document([run], tmp_path), "mAP@all")
    row = dict(zip(table["head"], texts(table)[0], strict=True))
    interval = found["bootstrap_interval"]
    assert row["interval"] == f"{100 * interval['low']:.2f} to {100 * interval['high']:.2f}"
    assert row["P@r≤2"] == f"{100 * found['precision_within_2']:.2f}"
    assert row["mAP@all"] == f"{100 * found['mean_average_precision']['expected']:.2f}"
    assert "vote" not in row


def test_methods_are_compared_query_by_query_as_compare_does(tmp_path):
    runs = [save_run(tmp_path / name, name, noise=noise) for name, noise in (("csq", 0.8), ("dsh", 1.6))]
    sides = []
    for run in runs:
        with Index.open(run / "codes/query") as query, Index.open(run / "codes/database") as database:
            sides.append((query.codes(), database.codes()))
            labels = {"query_labels": query.labels(), "db_labels": database.labels()}
    expected = compare(*sides[0], *sides[1], **labels)
    (row,) = texts(block(document(runs, tmp_path), "Paired tests"))
    difference = expected.difference
    assert row[:3] == ["csq, 16 bits", "dsh, 16 bits", f"{100 * difference.mean:+.2f}".replace("-", MINUS)]
    assert row[3] == f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}".replace("-", MINUS)
    assert row[4] == row[5] == probability(expected.test.p_value)
    assert row[6].startswith(f"{expected.better}, {expected.worse}, ")


def test_only_equal_queries_are_paired(tmp_path):
    runs = [save_run(tmp_path / "one", "csq", seed=0), save_run(tmp_path / "other", "dsh", seed=1)]
    assert "Differences" not in titles(document(runs, tmp_path))


def test_holm_multiplies_the_smallest_p_value_by_their_number():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_curves_are_means_over_seeds(grid, grid_report):
    curve = block(grid_report, "Precision by recall")
    assert [panel["title"] for panel in curve["panels"]] == ["16 bits", "32 bits"]
    mine = [evaluation_of(run) for run in grid if run.name.startswith("csq-16")]
    points = np.mean(
        [[(p["recall"], p["precision"], p["items"]) for p in each["radius_curve"]] for each in mine], axis=0
    )
    series = curve["panels"][0]["series"][0]
    assert series["name"] == "CSQ"
    np.testing.assert_allclose(series["points"], points[points[:, 2] > 0, :2], rtol=1e-5)
    by_bits = block(grid_report, "mAP@all by bits")
    assert [series["name"] for series in by_bits["panels"][0]["series"]] == ["CSQ", "hashnet"]
    at = block(grid_report, "Precision at N")["panels"][0]["series"][0]["points"]
    expected = np.mean([[(p["n"], p["precision"]) for p in each["cut_offs"]] for each in mine], axis=0)
    np.testing.assert_allclose(at, expected, rtol=1e-5)


def test_runs_that_differ_in_more_than_their_seed_are_methods_of_their_own(tmp_path):
    runs = [save_run(tmp_path / f"{rate}", optimizer={"lr": rate}) for rate in (0.1, 0.2)]
    names = [row[0] for row in texts(block(document(runs, tmp_path, titles={"csq": "CSQ"}), "mAP@all"))]
    assert names[:2] == ["CSQ, optimizer.lr 0.1", "CSQ, optimizer.lr 0.2"]


def test_the_training_images_in_the_database_are_counted(grid_report):
    (row,) = texts(block(grid_report, "Overlap"))
    assert row == ["animals", "120", "40", "40 (100 %)"]


def test_training_is_drawn_and_timed(grid_report):
    loss = block(grid_report, "Loss")
    assert loss["panels"][0]["series"][0]["points"] == [[1, 1], [2, 0.5], [3, 0.333333]]
    assert block(grid_report, "mAP on the protocol's queries")["panels"][1]["series"][1]["points"][2] == [3, 0.75]
    assert texts(block(grid_report, "Time of training"))[0][:5] == ["CSQ", "16", "3", "6.5 ± 0.0", "99.0 ± 0.0"]


def test_configuration_and_fingerprints_are_told_without_the_folders_of_the_writer(grid, tmp_path, grid_report):
    text = json.dumps(grid_report)
    assert "/home/me" not in text
    assert str(grid[0].parent) not in text
    assert "data: .../data" in block(grid_report, "Configuration that all runs share")["text"]
    assert texts(block(grid_report, "Fingerprints"))[0][3:] == ["0", "0" * 12, "ab" * 6, "cd" * 6]
    assert block(grid_report, "Commands")["text"].splitlines()[0] == (
        "vtsearch train --config csq-16-0/config.yaml --output NEW_FOLDER"
    )


# ---------------------------------------------------------------------------------------------------------------------
# Indexes


def test_an_index_with_labels_is_evaluated_leave_one_out(tmp_path):
    codes, labels = clustered(16, 1.0, 0)
    index = save_index(tmp_path / "index", codes, 16, labels)
    report = document([index], tmp_path)
    expected = evaluate(codes, codes, labels, labels, exclude="self", bits=16)
    table = block(report, "mAP@all")
    assert texts(table)[0][2] == f"{100 * expected.mean_average_precision.expected:.2f}"
    assert "protocol leave-one-out, 150 items ask for the others, 149 items" in table["note"]
    counts = np.array(block(report, "Confusion of classes")["counts"])
    found = rank(codes, codes, 10, exclude="self").indices
    same = labels[found] == labels[:, None]
    assert np.trace(counts) == same.sum()
    assert counts.sum() == same.size
    assert block(report, "Confusion of classes")["names"] == list(CLASSES)


def test_indexes_of_the_same_items_are_compared(tmp_path):
    folders = []
    for bits in (16, 32):
        codes, labels = clustered(bits, 1.0, 0)
        folders.append(save_index(tmp_path / f"index-{bits}", codes, bits, labels))
    (row,) = texts(block(document(folders, tmp_path), "Paired tests"))
    assert row[:2] == ["index-16, 16 bits", "index-32, 32 bits"]


def test_an_index_without_labels_gets_what_can_be_said_of_it(tmp_path):
    names = save_images(tmp_path / "images", 50)
    codes, _ = clustered(16, 1.0, 0, items=50)
    codes[1] = codes[0]
    index = save_index(tmp_path / "index", codes, 16, ids=names, images=tmp_path / "images")
    report = document([index], tmp_path, images=image_loader)
    assert titles(report) == ["Codes", "Items", "To repeat this"]
    ranking = rank(codes, codes, 1, exclude="self")
    nearest = block(report, "Distance of the nearest item")["panels"][0]["series"][0]["points"]
    expected = np.bincount(ranking.distances[:, 0], minlength=17) / 50
    np.testing.assert_allclose([share for _, share in nearest], expected, atol=1e-6)
    within = dict(texts(block(report, "Near-duplicates by radius")))
    exact = int((ranking.distances[:, 0] == 0).sum())
    assert within["≤ 0"] == f"{2 * exact:.1f} ({exact})"
    rows = block(report, "Items with the nearest neighbours")["rows"]
    assert rows[0]["query"]["id"] == names[0]
    assert (rows[0]["answers"][0]["id"], rows[0]["answers"][0]["distance"]) == (names[1], 0)
    assert rows[0]["answers"][0]["relevant"] is None
    assert rows[0]["query"]["picture"] is not None


def test_a_folder_of_query_and_database_indexes_is_evaluated(tmp_path):
    run = save_run(tmp_path / "run")
    whole, codes = document([run], tmp_path), document([run / "codes"], tmp_path)
    assert texts(block(codes, "mAP@all"))[0][2:6] == texts(block(whole, "mAP@all"))[0][2:6]


def test_multi_label_indexes_are_reported(tmp_path):
    codes, labels = clustered(16, 1.0, 0)
    several = np.eye(3, dtype=np.uint8)[labels]
    several[::7] = 1
    index = save_index(tmp_path / "index", codes, 16, several)
    report = document([index], tmp_path)
    assert {row[0] for row in texts(block(report, "mAP by class"))} == set(CLASSES)
    assert blocks(report, "confusion") == []


def test_the_grid_of_reproduce_stands_for_its_finished_runs(tmp_path):
    save_run(tmp_path / "grid/runs/one")
    unfinished = save_run(tmp_path / "grid/runs/two", seed=1)
    (unfinished / "result.json").unlink()
    assert document([tmp_path / "grid"], tmp_path)["lead"] == "1 run · 16 bits"


def test_a_run_without_its_codes_is_reported_by_its_numbers(tmp_path):
    run = save_run(tmp_path / "run")
    shutil.rmtree(run / "codes")
    report = document([run], tmp_path)
    assert "mAP@all" in [each.get("title") for each in blocks(report)]
    assert not {"Codes", "Queries", "Classes"} & set(titles(report))


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def test_worst_and_best_queries_are_pictured_with_their_answers(tmp_path):
    save_images(tmp_path / "images", QUERIES + ITEMS)
    run = save_run(tmp_path / "run", images=tmp_path / "images", noise=1.6)
    report = document([run], tmp_path, images=image_loader, pictures=4)
    scores = np.array(evaluation_of(run)["average_precisions"])
    worst, best = (block(report, f"{which} queries")["rows"] for which in ("Worst", "Best"))
    ids = [f"{place:03d}.png" for place in np.argsort(scores, kind="stable")[:4]]
    assert [row["query"]["id"] for row in worst] == ids
    assert worst[0]["score"] == f"AP {100 * scores.min():.1f} %"
    names = [row["query"]["names"][0] for row in best]
    assert max(names.count(name) for name in names) <= 2
    for row in worst:
        assert len(row["answers"]) == 10
        for answer in row["answers"]:
            assert answer["relevant"] == (answer["names"] == row["query"]["names"])
    assert len(report["pictures"]) == len(set(report["pictures"]))
    assert all(picture.startswith("data:image/png;base64,") for picture in report["pictures"])


def test_no_pictures_are_in_a_report_without_them(tmp_path):
    run = save_run(tmp_path / "run")
    report = document([run], tmp_path, pictures=0)
    assert report["pictures"] == []
    assert "Queries" not in titles(report)
    named = document([run], tmp_path)
    assert block(named, "Worst queries")["rows"][0]["query"]["picture"] is None


def test_photographs_become_small_jpegs_without_what_a_camera_wrote(tmp_path):
    from vtsearch.reports.thumbnails import data_address

    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "home address"
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=exif, comment=b"home address")
    with Image.open(tmp_path / "a.jpg") as image:
        address = data_address(image)
    assert address.startswith("data:image/jpeg;base64,")
    assert len(address) < 16_000
    import base64
    import io

    content = base64.b64decode(address.partition(",")[2])
    assert b"home address" not in content
    with Image.open(io.BytesIO(content)) as small:
        assert small.size == (112, 84)


# ---------------------------------------------------------------------------------------------------------------------
# The file


def test_equal_inputs_give_equal_bytes_wherever_they_are(tmp_path):
    files = []
    for place in ("here", "there"):
        save_images(tmp_path / place / "images", QUERIES + ITEMS)
        runs = save_grid(tmp_path / place, images=tmp_path / place / "images")
        index = save_index(tmp_path / place / "index", *(clustered(16, 1.0, 0)[0], 16))
        files.append(write_html_report([*runs, index], tmp_path / f"{place}.html", images=image_loader).read_bytes())
    assert files[0] == files[1]
    assert b'"pictures":["data:image/png' in files[0]


def test_a_report_of_many_runs_is_small(tmp_path):
    runs = [
        save_run(tmp_path / f"{f}-{b}-{s}", f, b, s)
        for f in ("a", "b", "c", "d")
        for b in (16, 64, 128)
        for s in (0, 1)
    ]
    path = write_html_report(runs, tmp_path / "report.html", pictures=0)
    assert path.stat().st_size < 300_000


HOSTILE = [
    '<img src=x onerror="alert(1)">',
    "</script><script>alert(1)</script>",
    "a\nb\u202e<!--",
    "=1+1|`$\\end{x}%&_^~#",
    "\udcff.png",
]


def test_names_that_are_markup_stay_text(tmp_path):
    codes, labels = clustered(16, 1.0, 0, items=len(HOSTILE))
    with Index.create(tmp_path / "index", 16, classes=HOSTILE[:3]) as index:
        index.add(codes, HOSTILE, labels)
    path = write_html_report([tmp_path / "index"], tmp_path / "report.html", title=HOSTILE[1])
    html = path.read_text()
    assert html.count("<script") == 2
    assert "<img" not in html.lower().partition("<body>")[2].replace("\\u003cimg", "")
    assert html.count("</script>") == 2
    assert "&lt;/script&gt;" in html


def test_nothing_is_fetched(tmp_path):
    html = write_html_report([save_run(tmp_path / "run")], tmp_path / "report.html").read_text()
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert "<noscript>" in html


def test_a_report_needs_no_torch(tmp_path):
    run = save_run(tmp_path / "run")
    code = (
        "import sys; from vtsearch.reports import write_html_report;"
        f"write_html_report([{str(run)!r}], {str(tmp_path / 'report.html')!r});"
        "assert not {'torch', 'PIL', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: [], ValueError, "folders: expected at least one run or index, got none"),
        (lambda p: [p / "nowhere"], FileNotFoundError, "no such folder"),
        (lambda p: [p], VtsearchError, "expected a run, a grid of runs, an index"),
        (lambda p: [save_run(p / "a"), p / "a"], ValueError, "expected each folder once"),
        (lambda p: [save_index(p / "one", clustered(16, 1, 0, 1)[0], 16)], ValueError, "at least 2 items"),
    ],
)
def test_a_mistake_is_told(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        write_html_report(make(tmp_path), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_number_of_pictures_below_0_is_refused(tmp_path):
    with pytest.raises(ValueError, match="pictures: expected at least 0, got -1"):
        write_html_report([tmp_path], tmp_path / "report.html", pictures=-1)


def damage(name, content):
    return lambda run: (run / name).write_text(content)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda run: (run / "result.json").unlink(), "the run is not finished"),
        (damage("result.json", '{"sha256": "0"}'), "changed since it was written"),
        (damage("report.json", "{"), "not JSON"),
        (damage("report.json", '{"evaluation": {}}'), "expected the files of a run"),
        (damage("config.yaml", "- 1"), "expected the files of a run"),
        (damage("config.yaml", "a: &a [1]\nb: *a\n"), "aliases are not allowed"),
        (damage("metrics.jsonl", "{}\nnonsense\n"), "line 2: not JSON"),
        (damage("split.json", '{"train": "x"}'), "expected the files of a run"),
        (damage("env.json", "[]"), "expected a JSON object"),
    ],
)
def test_a_damaged_run_is_told(tmp_path, harm, message):
    run = save_run(tmp_path / "run")
    harm(run)
    with pytest.raises(VtsearchError, match=message):
        write_html_report([run], tmp_path / "report.html")


def test_versions_of_a_framework_of_the_users_own_are_methods_of_their_own(tmp_path):
    runs = [save_run(tmp_path / str(seed), "loss.py:MyLoss", seed=seed) for seed in range(3)]
    for run, text in zip(runs, ("first", "first", "second"), strict=True):
        (run / "framework.py").write_text(text)
    first, second = (hashlib.sha256(text.encode()).hexdigest()[:8] for text in ("first", "second"))
    names = [row[0] for row in texts(block(document(runs, tmp_path), "mAP@all"))]
    assert set(names[:2]) == {f"loss.py:MyLoss, framework.py {digest}" for digest in (first, second)}
