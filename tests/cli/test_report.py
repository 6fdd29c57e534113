from __future__ import annotations

import json
import subprocess
import sys

import pytest
from saved_runs import clustered, save_grid, save_images, save_index, save_run

from vtsearch.cli import main
from vtsearch.data.pictures import image_loader
from vtsearch.frameworks import FRAMEWORKS
from vtsearch.reports import write_html_report


def test_the_command_writes_what_python_writes(tmp_path, capsys):
    save_images(tmp_path / "images", 150)
    runs = save_grid(tmp_path / "runs", images=tmp_path / "images")
    output = tmp_path / "report.html"
    assert main(["report", *map(str, runs), "--output", str(output), "--title", "All runs", "--json"]) == 0
    expected = write_html_report(
        runs, tmp_path / "other.html", title="All runs", images=image_loader, titles=FRAMEWORKS
    ).read_bytes()
    assert output.read_bytes() == expected
    assert json.loads(capsys.readouterr().out) == {"output": str(output), "bytes": len(expected)}
    assert b"HashNet" in expected
    assert b"<title>All runs</title>" in expected


def test_an_existing_report_is_replaced_and_its_size_told(tmp_path, capsys):
    output = tmp_path / "report.html"
    output.write_text("old")
    assert main(["report", str(save_run(tmp_path / "run")), "--output", str(output), "--pictures", "0"]) == 0
    assert capsys.readouterr().out == f"{output}: {output.stat().st_size:,} bytes\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run"]


def test_an_index_that_does_not_know_its_images_is_told_of(tmp_path, capsys):
    index = save_index(tmp_path / "index", *(clustered(16, 1.0, 0)[0], 16))
    assert main(["report", str(index), "--output", str(tmp_path / "report.html")]) == 0
    assert f"no pictures: {index}: the index does not say where its images are" in capsys.readouterr().err


def test_images_that_have_moved_are_found(tmp_path, capsys):
    names = save_images(tmp_path / "new", 20)
    index = save_index(tmp_path / "index", clustered(16, 1.0, 0, 20)[0], 16, ids=names, images=tmp_path / "old")
    words = ["report", str(index), "--output", str(tmp_path / "report.html")]
    assert main(words) == 0
    assert f"its images were in {tmp_path / 'old'}, which does not exist" in capsys.readouterr().err
    assert b"data:image/png;base64" not in (tmp_path / "report.html").read_bytes()
    assert main([*words, "--images", str(tmp_path / "new")]) == 0
    assert b"data:image/png;base64" in (tmp_path / "report.html").read_bytes()


def test_an_image_that_is_gone_is_a_tile_and_told_of(tmp_path, capsys):
    names = save_images(tmp_path / "images", 20)
    index = save_index(tmp_path / "index", clustered(16, 1.0, 0, 20)[0], 16, ids=names, images=tmp_path / "images")
    (tmp_path / "images" / names[3]).unlink()
    assert main(["report", str(index), "--output", str(tmp_path / "report.html"), "--pictures", "20"]) == 0
    assert "a tile with the name stands for 1 image that cannot be read, such as 003.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--output", "a.html"], "nowhere: no such folder"),
        (["run", "run", "--output", "a.html"], "folders: expected each folder once, got run twice"),
        (["run"], "output: expected a value"),
        (["run", "--output", "no/folder.html"], "output: expected a file in a folder that exists"),
        (["run", "--output", "run"], "output: expected the name of a file to write"),
        (["run", "--output", "a.html", "--pictures", "-1"], "pictures: expected at least 0, got -1"),
        (["run", "--output", "a.html", "--images", "nowhere"], "nowhere: images: no such folder"),
        (["run/codes/query", ".", "--output", "a.html"], "expected a run, a grid of runs, an index"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, words, message):
    save_run(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert main(["report", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


def test_a_report_of_codes_does_without_torch(tmp_path):
    run = save_run(tmp_path / "run")
    words = ["report", str(run), "--output", str(tmp_path / "report.html")]
    code = f"import sys; from vtsearch.cli import main; assert main({words}) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
