from __future__ import annotations

import json
import shutil

import pytest

from vtsearch.cli import main
from vtsearch.frameworks import FRAMEWORKS
from vtsearch.training import run_folder as files

TINY = [
    *("--protocol", "digits", "--backbone", "test_vit", "--no-pretrained", "--image-size", "32"),
    *("--bits", "12", "--epochs", "1", "--precision", "fp32"),
]


def printed_config(capsys, *words):
    """What --print-config prints, read back."""
    import yaml

    assert main(["train", *words, "--print-config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "run"
    assert main(["train", *TINY, "--framework", "hashnet", "--options.continuation", "7", "--output", str(folder)]) == 0
    return folder


def test_a_run_holds_what_was_asked(run):
    config = files.read_config(run)
    assert config["framework"] == "hashnet"
    assert config["options"]["continuation"] == 7
    assert (config["bits"], config["backbone"], config["pretrained"]) == (12, "test_vit", False)


def test_a_finished_run_prints_its_result_again(run, capsys):
    assert main(["train", "--output", str(run), "--resume"]) == 0
    out = capsys.readouterr().out
    assert "trained model" in out
    assert "untrained model" in out
    assert "random codes" in out
    assert "ties expected, normalizer retrieved" in out


def test_json_is_one_object_with_the_scores(run, capsys):
    assert main(["train", "--output", str(run), "--resume", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run"] == str(run)
    assert {"expected", "index", "best", "worst", "vote"} == result["final"].keys()


def test_a_run_is_verified(run, capsys):
    assert main(["info", str(run), "--verify"]) == 0
    parts = "last, best, final, codes/query, codes/database, result.json, best.json"
    assert capsys.readouterr().out.endswith(f" {parts}: as written\n")


@pytest.mark.parametrize(
    "name", ["last/state.pt", "final/model.safetensors", "best/model.safetensors", "codes/query/codes", "result.json"]
)
def test_a_damaged_file_of_a_run_is_named(run, tmp_path, capsys, name):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / name
    path = min(path.iterdir()) if path.is_dir() else path
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert main(["info", str(tmp_path / "run"), "--verify"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path.parent) in line


def test_a_run_without_its_model_is_not_as_it_was_written(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("final"))
    assert main(["info", str(tmp_path / "run"), "--verify"]) == 2
    assert capsys.readouterr().err.endswith("run: expected final of a finished run, there is none\n")


def test_a_started_folder_needs_resume(run, capsys):
    assert main(["train", *TINY, "--output", str(run)]) == 2
    assert capsys.readouterr().err == (
        f"vtsearch train: output: {run} is not empty; continue it with --resume, or choose another --output\n"
    )


def test_a_resumed_run_names_the_value_that_differs(run, capsys):
    assert main(["train", "--output", str(run), "--resume", "--batch-size", "5"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"vtsearch train: batch_size: the run in {run} has 64, this configuration 5;")
    assert error.count("\n") == 1


def test_a_finished_run_without_its_checkpoint_takes_no_more_epochs(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("last"))
    assert main(["train", "--output", str(tmp_path / "run"), "--resume", "--epochs", "5"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"vtsearch train: epochs: the run in {tmp_path / 'run'} has no last/ any more")
    assert files.read_config(tmp_path / "run")["epochs"] == 1


def test_the_configuration_of_a_run_starts_another(run, capsys):
    config = printed_config(capsys, "--config", str(run / files.CONFIG), "--seed", "3")
    saved = files.read_config(run)
    assert config.pop("seed") == 3
    assert saved.pop("seed") == 0
    assert saved.items() <= config.items()


def test_printed_configurations_are_read_back_unchanged(tmp_path, capsys):
    config = printed_config(capsys, "--framework", "hashnet", "--options.continuation", "3", "--preset", "paper")
    (tmp_path / "paper.yaml").write_text(json.dumps(config))
    assert printed_config(capsys, "--config", str(tmp_path / "paper.yaml")) == config


def test_compiling_is_asked_for_by_a_flag_or_in_a_file(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("compile: true\n")
    file = ("--config", str(tmp_path / "run.yaml"))
    found = [printed_config(capsys, *words)["compile"] for words in ((), ("--compile",), file, (*file, "--no-compile"))]
    assert found == [False, True, True, False]


def test_the_framework_may_stand_in_the_file_with_its_options(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("framework: hashnet\noptions: {continuation: 9}\nbits: 24\n")
    config = printed_config(capsys, "--config", str(tmp_path / "run.yaml"))
    assert (config["framework"], config["options"]["continuation"], config["bits"]) == ("hashnet", 9, 24)


def test_flags_come_before_files_and_files_before_presets(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("preset: paper\nepochs: 7\nbatch_size: 16\n")
    config = printed_config(capsys, "--config", str(tmp_path / "run.yaml"), "--epochs", "8")
    assert (config["epochs"], config["batch_size"], config["optimizer"]["lr"]) == (8, 16, 1e-5)


def test_the_backbone_is_that_of_the_weights_file_unless_it_is_named(capsys):
    weights = "some/vit_small_patch16_224.augreg_in21k.safetensors"
    assert printed_config(capsys, "--weights", weights)["backbone"] == "vit_small_patch16_224.augreg_in21k"
    assert printed_config(capsys, "--weights", weights, "--backbone", "test_vit")["backbone"] == "test_vit"
    assert printed_config(capsys, "--weights", "alexnet.pth")["backbone"] == "alexnet"
    default = printed_config(capsys)["backbone"]
    assert printed_config(capsys, "--weights", "mine.safetensors")["backbone"] == default


@pytest.mark.parametrize("words", [["--bits", "4,8,12"], ["--bits=4,8,12"], ["--bits", "12", "--nested", "4,8"]])
def test_several_lengths_are_nested_codes(words, capsys):
    printed = printed_config(capsys, "--framework", "csq", *words)
    assert (printed["bits"], printed["nested"]) == (12, "4,8")


def test_help_shows_the_options_of_the_framework_with_their_documentation(capsys):
    assert main(["train", "--framework", "hashnet", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--options.continuation" in out
    assert "--options.quantization" not in out
    assert "Epochs between two steps of the scale" in out
    assert "example:" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--framework", "magic"],
            f"framework: expected one of {', '.join(FRAMEWORKS)}, or FILE.py:CLASS, got 'magic'",
        ),
        (["--framework", "magic.py:Loss"], "magic.py: no such file"),
        (["--protocol", "magic"], "protocol: expected one of cifar10@54000"),
        (["--preset", "best"], "preset: expected one of modern, paper, transhash, got 'best'"),
        (
            ["--options.magic=1"],
            "options: csq has quantization, form, centers, multi_label, smoothing, not 'magic'",
        ),
        (["--magic", "1"], "--magic"),
        (["--options.quantization", "-1"], "quantization: expected at least 0, got -1.0"),
        (["--epochs", "0"], "epochs: expected at least 1, got 0"),
        (["--epochs", "many"], "epochs"),
        (["--backbone", "vit_tny_patch16_224"], "backbone: expected the name of a timm model"),
        (["--config", "missing.yaml"], "missing.yaml"),
        (["--head", "tail"], "head"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--protocol", "digits", "--no-pretrained", "--image-size", "32", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("vtsearch train: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_of_a_file_is_named(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("epoch: 7\n")
    assert main(["train", "--config", str(tmp_path / "run.yaml")]) == 2
    assert "epoch" in capsys.readouterr().err
