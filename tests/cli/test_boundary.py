"""What leaves a command: one line and an exit code, whatever happened and whatever its streams are."""

from __future__ import annotations

import importlib
import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from vtsearch._printable import printable, printable_lines
from vtsearch.cli import INTERNAL_ERROR, boundary, format_error, main
from vtsearch.cli.output import check_output_file, check_output_folder, json_text
from vtsearch.cli.parser import CommandParser, check_lengths, check_values
from vtsearch.index import Index

NAMES = ["plain.png", "\x1b[31mred\x1b[0m", "one\ntwo", "right\u202eleft", "del\x7f", "日本 é", "tab\t"]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("boundary") / "index"
    with Index.create(path, 8, classes=["a\x1b[2J", "b"]) as made:
        made.add(np.zeros((len(NAMES), 1), np.uint8), NAMES, np.array([0, 1, 0, 1, 0, 1, 0]))
    return path


def raising(error):
    def run(argv):
        raise error

    return run


def shell(script, **more):
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, **more)


COMMAND = f"{sys.executable} -m vtsearch"


# ---------------------------------------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("{}[[]]", "TypeError: unhashable type: 'list'"),
        ("dict(**[])", "TypeError"),
        ("int('x')", "ValueError: invalid literal"),
        ("assert False, 'no'", "AssertionError: no"),
        ("f = lambda: f(); f()", "RecursionError"),
        ("raise RuntimeError('shape')", "RuntimeError: shape"),
        ("raise GeneratorExit", "GeneratorExit"),
    ],
)
def test_what_nobody_expected_is_one_line_with_code_70_and_a_file(code, text, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SECRET", "do-not-write-this")
    space = {}
    exec(f"def run(argv):\n    {code}", space)
    monkeypatch.setattr(importlib.import_module("vtsearch.cli.info"), "run", space["run"])
    assert main(["info", "a b", "--json"]) == INTERNAL_ERROR == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vtsearch info: internal error: {text}")
    assert line.endswith(f", please send it with the command to {boundary.ISSUES}")
    (file,) = tmp_path.iterdir()
    assert str(file) in line
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_text()
    assert content.startswith("vtsearch info 'a b' --json\n")
    assert "Traceback" in content
    assert "numpy " in content
    assert "do-not-write-this" not in content


def test_a_password_in_an_address_is_not_written(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(importlib.import_module("vtsearch.cli.info"), "run", raising(RuntimeError("x://me:secret@y")))
    assert main(["info", "postgresql://me:secret@host:5432/photos?a=b"]) == 70
    (file,) = tmp_path.iterdir()
    assert "vtsearch info 'postgresql://me:***@host:5432/photos?a=b'" in file.read_text()
    assert "secret" not in file.read_text()


def test_two_internal_errors_have_two_files(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(importlib.import_module("vtsearch.cli.info"), "run", raising(RuntimeError("x")))
    assert main(["info"]) == main(["info"]) == 70
    assert len(list(tmp_path.iterdir())) == 2


def test_an_internal_error_without_a_temporary_folder_is_one_line_still(monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    monkeypatch.setattr(importlib.import_module("vtsearch.cli.info"), "run", raising(RuntimeError("x")))
    assert main(["info"]) == 70
    assert "VTSEARCH_DEBUG=1 shows the details" in capsys.readouterr().err


def test_an_internal_error_is_raised_on_request(monkeypatch):
    monkeypatch.setenv("VTSEARCH_DEBUG", "1")
    monkeypatch.setattr(importlib.import_module("vtsearch.cli.info"), "run", raising(RuntimeError("x")))
    with pytest.raises(RuntimeError):
        main(["info"])


def test_the_address_for_reports_is_that_of_the_package():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Issues"] == boundary.ISSUES


def test_memory_that_is_short_is_a_mistake(monkeypatch, capsys):
    for error in (MemoryError("Unable to allocate 8 EiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        monkeypatch.setattr(importlib.import_module("vtsearch.cli.info"), "run", raising(error))
        assert main(["info"]) == 2
        assert "needs more memory than there is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ModuleNotFoundError("No module named 'timm'", name="timm"), 2, "pip install 'vtsearch[train]'"),
        (ModuleNotFoundError("No module named 'importlib.x'", name="importlib.x"), 2, "cannot import importlib"),
        (ImportError("libcudart.so.12: cannot open", name="torch"), 2, "cannot import torch (libcudart.so.12"),
        (ModuleNotFoundError("No module named 'vtsearch.x'", name="vtsearch.x"), 70, "internal error"),
        (ImportError("cannot import name"), 70, "internal error"),
    ],
)
def test_a_module_that_cannot_be_imported(error, code, text, monkeypatch, tmp_path, capsys):  # noqa: PLR0917
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("vtsearch.cli.importlib.import_module", raising(error))
    assert main(["info"]) == code
    assert text in capsys.readouterr().err


def test_a_message_of_many_characters_loses_its_middle():
    assert len(format_error(ValueError("x" * 100_000))) < 1100


def test_exit_codes_are_in_the_help(capsys):
    assert main(["--help"]) == 0
    assert "70 a fault of vtsearch" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------------------
# Streams


def test_closed_streams_are_no_error(index):
    for redirect in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = shell(f"{COMMAND} info {index} {redirect}; echo code $?")
        assert done.stdout.splitlines()[-1] == "code 0"
        assert done.stderr == ""


def test_nothing_is_written_into_a_file_that_took_the_place_of_standard_output(index):
    before = (index / "index.sqlite").read_bytes()
    shell(f"{COMMAND} deduplicate {index} --radius 1 >&- 2>&- <&-")
    assert (index / "index.sqlite").read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["--help", "--version", "info --help", "info INDEX", "info INDEX --json"])
def test_a_full_disk_behind_standard_output_is_one_line(words, index):
    done = shell(f"{COMMAND} {words.replace('INDEX', str(index))} >/dev/full; echo code $?")
    assert done.stdout == "code 2\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("vtsearch")
    assert line.endswith("standard output: No space left on device")


def test_messages_that_nobody_can_read_do_not_change_the_exit_code(index):
    for target in ("/dev/full", " >(true)"):
        assert shell(f"{COMMAND} info {index} 2>{target} >/dev/null; echo code $?").stdout == "code 0\n"
        assert shell(f"{COMMAND} info nowhere 2>{target}; echo code $?").stdout == "code 2\n"


def test_a_terminal_of_few_letters_is_no_error(index):
    done = shell(f"{COMMAND} deduplicate {index} --radius 1", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\\u65e5" in done.stdout


# ---------------------------------------------------------------------------------------------------------------------
# Text


def test_control_characters_are_escaped_and_letters_are_not():
    assert printable("a\x1b[31m\n\x9b\u202e\x7f\udcff") == "a\\x1b[31m\\n\\x9b\\u202e\\x7f\\udcff"
    assert printable("日本 é  \\ ‌") == "日本 é  \\ ‌"
    assert printable_lines("a\n\tb\r\x1b") == "a\n\tb\r\\x1b"


@pytest.mark.parametrize("words", ["search 00 --index INDEX", "deduplicate INDEX --radius 1", "info INDEX"])
def test_nothing_of_an_index_reaches_the_terminal_raw(words, index, capsys):
    assert main([word.replace("INDEX", str(index)) for word in words.split()]) == 0
    out = capsys.readouterr().out
    assert not set("\x1b\x7f\u202e\t") & set(out)
    assert "one\\ntwo" in out or words.startswith("info")


def test_json_is_exact_and_safe_to_print(index, capsys):
    assert main(["search", "00", "--index", str(index), "--json"]) == 0
    out = capsys.readouterr().out
    assert {answer["id"] for answer in json.loads(out)["queries"][0]["answers"]} == set(NAMES)
    assert out.replace("\n", "").isprintable()
    assert json.loads(json_text({"a": "\x7f\x1b"})) == {"a": "\x7f\x1b"}


def test_names_in_messages_are_escaped(capsys):
    assert main(["info", "\x1b[31m\nno"]) == 2
    assert capsys.readouterr().err == "vtsearch info: \\x1b[31m\\nno: no such folder\n"


# ---------------------------------------------------------------------------------------------------------------------
# Values


@pytest.mark.parametrize("value", ["", "  ", "a\0b", "x" * 5000, 2**63, -(2**64), float("nan"), [1, 2**70], ["a", ""]])
def test_no_option_of_any_command_can_be_this(value):
    with pytest.raises(ValueError, match=r"^name: expected"):
        check_values([("name", value)])


def test_values_that_options_can_be():
    check_values([("a", 2**63 - 1), ("b", float("inf")), ("c", "x y"), ("d", None), ("e", True), ("f", [1, "x"])])


def test_a_long_text_is_refused_before_it_is_read():
    with pytest.raises(ValueError, match=r"^--batch-size: expected at most 4,096 characters, got 5,000"):
        check_lengths(["--batch_size", "9" * 5000])
    with pytest.raises(ValueError, match=r"^--k: "):
        check_lengths([f"--k={'9' * 5000}"])


def test_a_parser_never_lets_an_exception_out(capsys):
    command = CommandParser("info", "About.", "  example")
    command.add_argument("--k", type=int)
    for words in (["--k", "9" * 4000], ["--k", "1" + "0" * 30], ["--k", "[1"], ["--k="], ["--k"]):
        with pytest.raises(SystemExit):
            command.parse_args(words)
        assert capsys.readouterr().err.count("\n") == 1


def test_output_files_are_checked(tmp_path):
    (tmp_path / "file").write_text("")
    check_output_file("picture", None)
    check_output_file("picture", str(tmp_path / "file"))
    check_output_file("picture", str(tmp_path / "new.png"))
    for bad, kind in (
        ("", ValueError),
        (str(tmp_path), ValueError),
        (str(tmp_path / "no/new.png"), FileNotFoundError),
        (str(tmp_path / "file/new.png"), FileNotFoundError),
        (str(tmp_path / ("x" * 300)), OSError),
    ):
        with pytest.raises(kind, match=r"^picture: "):
            check_output_file("picture", bad)


def test_output_folders_are_checked(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nothing")
    check_output_folder("output", None)
    check_output_folder("output", str(tmp_path))
    check_output_folder("output", str(tmp_path / "new/deep"))
    for bad, kind in (
        ("", ValueError),
        (str(tmp_path / "file"), ValueError),
        (str(tmp_path / "file/new"), ValueError),
        (str(tmp_path / "dangling"), ValueError),
        (str(tmp_path / ("x" * 300)), OSError),
    ):
        with pytest.raises(kind, match=r"^output: "):
            check_output_folder("output", bad)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    for check in (check_output_file, check_output_folder):
        with pytest.raises(PermissionError, match=r"^output: "):
            check("output", str(tmp_path / "new"))
