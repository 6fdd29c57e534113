from __future__ import annotations

import json

import pytest

from vtsearch.cli import main
from vtsearch.frameworks import FRAMEWORKS

SMALL = [
    *("--protocols", "digits", "--backbones", "test_vit", "--frameworks", "csq", "--bits", "16"),
    *("--image-size", "32", "--no-pretrained"),
]


def test_a_dry_run_lists_the_cells_with_the_published_numbers_and_does_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--table", "1", "--protocol", "cifar10@54000", "--frameworks", "csq", "--backbones", "vts16,vts32"]
    assert main(["reproduce", *words, "--bits", "16,64", "--seeds", "2", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["cifar10@54000_vts16_all_csq_16bits_seed0", "to", "do", "paper", "97.9"]
    assert len(lines) == 9
    assert lines[-1] == "8 runs, 0 of them done, in runs/reproduction; recipe: paper"
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_seeds_is_taken_as_it_is(capsys):
    assert main(["reproduce", *SMALL, "--seeds", "3,7", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [cell["seed"] for cell in plan["cells"]] == [3, 7]
    assert plan["recipe"] == "recipe: paper, changed: image_size 32, pretrained false"
    assert not any(cell["done"] for cell in plan["cells"])


def test_options_of_a_framework_are_part_of_the_recipe(capsys):
    assert main(["reproduce", *SMALL, "--options.quantization", "0.5", "--dry-run"]) == 0
    assert "options.quantization 0.5" in capsys.readouterr().out


@pytest.mark.slow
def test_a_grid_on_disk_is_gone_on_with_and_reported(tmp_path, capsys):
    words = ["--hidden", "32", "--epochs", "1", "--precision", "fp32", "--baselines", "false"]
    folder = tmp_path / "grid"
    assert main(["reproduce", *SMALL, *words, "--output", str(folder), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    (row,) = values["rows"]
    assert (row["runs"], row["published"], row["ties"]) == (1, None, "expected")

    assert main(["reproduce", "--output", str(folder), "--dry-run"]) == 0
    assert "1 run, 1 of them done" in capsys.readouterr().out
    (folder / "results.csv").unlink()
    assert main(["reproduce", "--output", str(folder), "--report-only"]) == 0
    assert "digits" in (folder / "results.csv").read_text()
    assert "1 run finished" in capsys.readouterr().out

    assert main(["reproduce", *SMALL, *words, "--epochs", "2", "--output", str(folder)]) == 2
    error = capsys.readouterr().err
    assert "epochs 1" in error
    assert "epochs 2" in error
    assert "choose another --output" in error
    assert main(["reproduce", "--preset", "modern", "--output", str(folder)]) == 2
    assert "has recipe: paper, changed: epochs 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--table", "4"], "table: expected one of 1, 2, 3, got '4'"),
        (["--tabel", "1"], "--tabel: no such argument; did you mean --table?"),
        (["--bits", "many"], "bits: expected whole numbers between commas, got 'many'"),
        (["--seeds", "-1"], "seeds: expected whole numbers between commas, got '-1'"),
        (["--seeds", "0"], "seeds: expected different values, at least one, got none"),
        (["--seed", "1"], "--seed: the grid decides it; use --seeds"),
        (["--head", "cls"], "--head: the grid decides it; use --features"),
        (["--epochs", "0"], "epochs: expected at least 1, got 0"),
        (["--epochs", "x"], "epochs: expected an int, got 'x'"),
        (["--options.magic", "1"], "options: csq has quantization"),
        (
            ["--backbones", "vts61"],
            "or names of timm models, got 'vts61' (did you mean 'vts16'",
        ),
        (["--features", "some"], "features: expected some of all, cls, got 'some'"),
        (["--preset", "best"], "preset: expected one of modern, paper, transhash, got 'best'"),
        (["--backbones", "vts16,vts32", "--weights", "a.npz"], "weights: expected one backbone with --weights"),
        (["--report-only"], "report_only: expected the reports of the whole grid, got a choice of cells"),
        (["--output"], "--output: expected one value, got fewer"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *SMALL, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("vtsearch reproduce: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_framework_that_is_not_there_is_refused_with_those_that_are(capsys):
    assert main(["reproduce", *SMALL, "--frameworks", "csq,magic", "--dry-run"]) == 2
    assert f"frameworks: expected some of {', '.join(FRAMEWORKS)}, got 'magic'" in capsys.readouterr().err


def test_reports_need_a_grid(tmp_path, capsys):
    assert main(["reproduce", "--report-only", "--output", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"vtsearch reproduce: output: no grid in {tmp_path}\n"


def test_several_processes_of_one_launch_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["reproduce", *SMALL, "--output", str(tmp_path / "grid")]) == 2
    assert "start the command once for every GPU" in capsys.readouterr().err
    assert not (tmp_path / "grid").exists()


def test_help_names_every_flag(capsys):
    assert main(["reproduce", "--help"]) == 0
    out = capsys.readouterr().out
    for flag in ("--table", "--protocols", "--features", "--seeds", "--dry-run", "--report-only", "example:"):
        assert flag in out
