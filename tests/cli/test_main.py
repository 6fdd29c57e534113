from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from vtsearch.cli import COMMANDS, command_module, format_error, main


def vtsearch(*words, env=None):
    return subprocess.run(
        [sys.executable, "-m", "vtsearch", *words], capture_output=True, text=True, check=False, env=env
    )


def test_help_lists_the_commands_in_reading_order():
    done = vtsearch("--help")
    assert (done.returncode, done.stderr) == (0, "")
    places = [done.stdout.index(f"  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_help_and_version_import_no_torch():
    code = (
        "import sys; from vtsearch.cli import main; assert main(['--help']) == main(['--version']) == 0;"
        "assert not {'torch', 'timm', 'jsonargparse', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["search", "evaluate", "info", "export", "import_"])
def test_commands_over_codes_do_without_torch(name):
    code = f"import sys, vtsearch.cli.{name} as command; command.parser(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_words_are_an_error_that_helps():
    done = vtsearch()
    assert (done.returncode, done.stdout) == (2, "")
    assert "vtsearch demo" in done.stderr


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vtsearch 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_with_an_example(name, capsys):
    assert callable(command_module(name).run)
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: vtsearch {name}")
    assert f"example:\n  vtsearch {name}" in out


def test_a_mistake_is_one_line_without_a_traceback_and_code_2():
    done = vtsearch("search", "0" * 16, "--index", "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vtsearch search: nowhere: no such index\n"


def test_a_traceback_is_shown_on_request(monkeypatch):
    monkeypatch.setenv("VTSEARCH_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        main(["search", "0" * 16, "--index", "nowhere"])


def test_an_interrupt_is_code_130(tmp_path):
    os.mkfifo(tmp_path / "codes.npy")
    words = ["evaluate", "--queries", "codes.npy", "--query-labels", "labels.npy", "--database", "codes.npy"]
    child = subprocess.Popen(
        [sys.executable, "-m", "vtsearch", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    with (tmp_path / "codes.npy").open("wb"):  # opens when the command waits for codes
        child.send_signal(signal.SIGINT)
        assert child.communicate()[1] == "vtsearch evaluate: interrupted\n"
    assert child.returncode == 130


def test_a_reader_that_leaves_early_is_no_error():
    script = f"{sys.executable} -m vtsearch data list --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a/b"), "a/b: No such file or directory"),
        (ValueError("k: expected\n  at least 1"), "k: expected at least 1"),
        (TypeError(), "TypeError"),
    ],
)
def test_errors_are_told_on_one_line(error, line):
    assert format_error(error) == line


def test_flags_are_hyphenated_and_the_spelling_of_the_python_names_is_understood(capsys):
    for flag in ("--batch-size=7", "--batch_size=7"):
        assert main(["train", "--framework", "csq", flag, "--options.multi-label", "first", "--print-config"]) == 0
        printed = capsys.readouterr().out
        assert "batch_size: 7" in printed
        assert "multi_label: first" in printed


def test_help_shows_hyphenated_flags_only(capsys):
    assert main(["train", "--help"]) == 0
    assert re.findall(r"--[a-z.]+_", capsys.readouterr().out) == []
