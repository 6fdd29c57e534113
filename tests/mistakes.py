"""Mistaken commands, made from the argument parsers: each option of each command with values that it cannot have.

A base is a command that is right, and ends at once. A mistake replaces or adds one option. New options are covered as
soon as a parser has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import shutil
import socket
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from vtsearch._printable import printable
from vtsearch.cli import COMMANDS, command_module, main

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

BASES = {
    "demo": ["demo", "--output", "new", "--bits", "8", "--epochs", "1"],
    "data list": ["data", "list"],
    "data check": ["data", "check", "pictures", "--quick"],
    "data make": ["data", "make", "pictures", "--output", "new", "--queries-per-class", "1", "--train-per-class", "1"],
    "train": [
        *("train", "--protocol", "split", "--backbone", "test_vit", "--no-pretrained", "--image-size", "32"),
        *("--bits", "8", "--epochs", "1", "--precision", "fp32", "--output", "new"),
    ],
    "fit": [
        *("fit", "lsh", "--protocol", "split", "--backbone", "test_vit", "--no-pretrained", "--image-size", "32"),
        *("--bits", "8", "--precision", "fp32", "--output", "new"),
    ],
    "encode": ["encode", "pictures", "--model", "model", "--output", "new"],
    "search": ["search", "cat/1.png", "--index", "index"],
    "serve": ["serve", "index", "--port", "0"],
    "deduplicate": ["deduplicate", "index", "--radius", "2"],
    "decide": ["decide", "index", "forget", "item 77"],
    "remove": ["remove", "index", "item 77", "--missing", "ignore"],
    "compact": ["compact", "index"],
    "export": ["export", "index", "new.npy"],
    "push": ["push", "model", "me/x"],
    "import": ["import", "codes.npy", "--output", "new"],
    "evaluate": ["evaluate", "--queries", "queries", "--database", "index"],
    "report": ["report", "index", "--output", "new.html"],
    "reproduce": [
        *("reproduce", "--protocols", "digits", "--backbones", "test_vit", "--frameworks", "csq", "--bits", "8"),
        *("--image-size", "32", "--no-pretrained", "--epochs", "1", "--output", "new", "--dry-run"),
    ],
    "info": ["info", "index"],
}
"""Command -> arguments that are right, in the folder that ``build`` makes."""

VALUES = {
    "empty": "",
    "blank": " ",
    "0": "0",
    "negative": "-1",
    "more than an int64": str(2**63),
    "huge": "1" + "0" * 30,
    "5,000 digits": "9" * 5000,
    "a large count": "1000000000000",
    "a fraction": "0.5",
    "nan": "nan",
    "infinite": "1e400",
    "minus infinity": "-inf",
    "letters": "ünï-çødé-日本",
    "control characters": "\x1b[31mred\x1b[0m",
    "a line break": "one\ntwo",
    "a list": "[1, 2]",
    "a mapping": "{a: {b: 1}}",
    "null": "null",
    "true": "true",
    "broken YAML": "{a: [1",
    "an alias": "*a",
    "a tag": "!!python/object:os.system x",
    "a long name": "x" * 5000,
    "a folder": "empty",
    "a folder of something else": "pictures",
    "a missing file": "nowhere/at/all",
    "a path through a file": "list.txt/inside",
    "garbage": "garbage.bin",
    "a garbage array": "garbage.npy",
    "an array whose header is damaged": "header.npy",
    "an array that claims exabytes": "exabytes.npy",
    "an array of text": "text.npy",
    "garbage as YAML": "garbage.yaml",
    "broken YAML in a file": "broken.yaml",
    "a list in a file": "list.yaml",
    "strange values in a file": "strange.yaml",
    "deep YAML": "deep.yaml",
    "garbage as JSON": "garbage.json",
    "deep JSON": "deep.json",
    "garbage as a table": "garbage.csv",
    "garbage as a picture": "garbage.png",
    "garbage as weights": "garbage.safetensors",
    "garbage as a checkpoint": "garbage.pth",
    "garbage as an archive": "garbage.npz",
    "a garbage table": "garbage.parquet",
    "a folder of garbage": "fake",
    "a broken link": "dangling",
    "the null device": "/dev/null",
    "no right to write": "/proc/new",
}
"""What -> value."""

FILES = tuple(what for what, value in VALUES.items() if Path(value).suffix or "/" in value or "in a file" in what)
"""Values that only an option of text or of a path can read."""

FEW = ("empty", "negative", "huge", "nan", "letters", "a list", "a folder", "a missing file", "garbage")
"""Those of the quick test."""


DEMO_STARTS = "training a tiny Vision Transformer from random weights on 500 digits ...\n"


@dataclass(frozen=True)
class Mistake:
    """A command with one thing wrong."""

    command: str
    option: str
    what: str
    argv: tuple[str, ...]
    value: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int | None
    """None if an exception left ``main``."""
    err: str
    """Standard error, or the exception."""


def build(root: Path) -> Path:
    """A folder with a model, an index, images and arrays; and with files of garbage under each suffix."""
    from PIL import Image

    from vtsearch.codes import pack
    from vtsearch.index import Index
    from vtsearch.models import ModelConfig, build_model, save_model

    draw = np.random.default_rng(0)
    for folder, count in (("pictures/cat", 3), ("pictures/dog", 3)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    (root / "list.txt").write_text("pictures/cat/1.png 0\npictures/dog/1.png 1\n")
    with contextlib.chdir(root), contextlib.redirect_stdout(io.StringIO()):
        assert (
            main(
                ["data", "make", "pictures", "--output", "split", "--queries-per-class", "1", "--train-per-class", "1"]
            )
            == 0
        )
    save_model(build_model(ModelConfig("test_vit", 64, image_size=32, pretrained=False)), root / "model")
    with contextlib.chdir(root), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["encode", "pictures", "--model", "model", "--output", "index"]) == 0
    codes, labels = pack(draw.integers(0, 2, (6, 64))), np.array([0, 1, 0, 1, 0, 1])
    with Index.open(root / "index") as index:
        fingerprints = index.fingerprints
    with Index.create(root / "queries", 64, fingerprints=fingerprints) as queries:
        queries.add(codes, [f"query {number}" for number in range(6)], labels)
    np.save(root / "codes.npy", codes)
    np.save(root / "labels.npy", labels)
    (root / "empty").mkdir()
    (root / "dangling").symlink_to("nothing-there")
    _garbage(root)
    return root


def _garbage(root: Path) -> None:
    noise = np.random.default_rng(1).bytes(3000)
    for suffix in ("bin", "npy", "yaml", "json", "csv", "png", "safetensors", "pth", "npz", "parquet"):
        (root / f"garbage.{suffix}").write_bytes(noise)
    (root / "header.npy").write_bytes(_npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (6, (8"))
    (root / "exabytes.npy").write_bytes(_npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 8), }" % 2**60))
    np.save(root / "text.npy", np.array(["a", "b"]))
    (root / "broken.yaml").write_text("bits: [1\n  epochs: }{\n")
    (root / "list.yaml").write_text("- 1\n- 2\n")
    (root / "strange.yaml").write_text("? [1, 2]\n: 3\n1: 2\nbits: {a: 1}\nnull: 4\n")
    (root / "deep.yaml").write_text("[" * 3000)
    (root / "deep.json").write_text("[" * 100_000)
    (root / "fake").mkdir()
    for name in (
        "config.json",
        "config.yaml",
        "index.sqlite",
        "model.safetensors",
        "report.json",
        "split.json",
        "grid.yaml",
    ):
        (root / "fake" / name).write_bytes(noise)


def _npy(header: bytes) -> bytes:
    return np.lib.format.magic(1, 0) + len(header).to_bytes(2, "little") + header + bytes(64)


def parsers() -> dict[str, Any]:
    """Command -> its parser."""
    from vtsearch.cli import data

    made = {"data list": data.list_parser(), "data check": data.check_parser(), "data make": data.make_parser()}
    for name in COMMANDS:
        if name not in {"data", "train"}:
            made[name] = command_module(name).parser()
    return made


def train_parser(framework: str) -> Any:
    from vtsearch.cli import train

    return train.parser(train.First(framework, "modern", "digits"))


def generate(frameworks: tuple[str, ...], values: tuple[str, ...] = tuple(VALUES)) -> Iterator[Mistake]:
    """Every option of every parser with every value; ``train`` for several frameworks: the options of all, once."""
    for command, parser in parsers().items():
        yield from _of_parser(command, BASES[command], parser, values, set())
    seen: set[str] = set()
    for framework in frameworks:
        base = [*BASES["train"], "--framework", framework]
        yield from _of_parser("train", base, train_parser(framework), values, seen)
        seen |= {action.dest for action in train_parser(framework)._actions if "options" not in action.dest}


def _of_parser(
    command: str, base: list[str], parser: Any, values: tuple[str, ...], seen: set[str]
) -> Iterator[Mistake]:
    place = 2 if base[0] == "data" else 1  # of the next positional argument
    for action in parser._actions:
        if action.dest in seen or action.dest in {"help", "print_config"} or {"--help"} & set(action.option_strings):
            continue
        flag = max(action.option_strings, key=len, default="")
        name = flag or action.dest
        if flag and action.nargs != "?":  # which may stand alone
            yield Mistake(command, name, "no value", (*_without(base, flag), flag))
        if flag:
            yield Mistake(command, name, "an unknown spelling", (*_without(base, flag), f"{flag}x", "1"), f"{flag}x")
        for what in values:
            if what in FILES[1:] and not _takes_text(action):
                continue
            yield Mistake(command, name, what, tuple(_replaced(base, place, flag, action, VALUES[what])), VALUES[what])
        place += not flag


def _takes_text(action: Any) -> bool:
    """Whether an option reads any text: a name, a path, or a file of values."""
    return (
        action.nargs != 0
        and not action.choices
        and "str" in str(getattr(action, "_typehint", None) or action.type or str)
    )


def _replaced(base: list[str], place: int, flag: str, action: Any, value: str) -> list[str]:
    if not flag:
        return [*base[:place], value, *base[place + (base[place : place + 1] and not base[place].startswith("--")) :]]
    if action.nargs == 0:
        return [*_without(base, flag), f"{flag}={value}"]
    count = action.nargs if isinstance(action.nargs, int) else 1
    return [*_without(base, flag), flag, *[value] * count]


def _without(base: list[str], flag: str) -> list[str]:
    """The base without a flag and its value."""
    kept, skip = [], False
    for number, word in enumerate(base):
        if skip:
            skip = False
        elif word == flag:
            skip = number + 1 < len(base) and not base[number + 1].startswith("--")
        else:
            kept.append(word)
    return kept


# ---------------------------------------------------------------------------------------------------------------------
# Running them


@contextlib.contextmanager
def cleaned(root: Path) -> Iterator[None]:
    """Delete what is written into a folder meanwhile."""
    before = {path.name for path in root.iterdir()}
    yield
    for path in root.iterdir():
        if path.name not in before:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def run(mistake: Mistake, root: Path) -> Outcome:
    """Run a command in the folder; what it wrote there is deleted."""
    out, err = io.StringIO(), io.StringIO()
    code: int | None = None
    with (
        cleaned(root),
        contextlib.chdir(root),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            with warnings.catch_warnings(), patch("vtsearch.cli.encode.pause", side_effect=SystemExit(0)):
                warnings.simplefilter("error")
                code = main(list(mistake.argv))
        except BaseException as error:  # noqa: BLE001 (a test looks at it)
            err.write(f"{type(error).__name__}: {error}")
    return Outcome(code, err.getvalue())


def fault(mistake: Mistake, outcome: Outcome) -> str:
    """What is wrong with the answer to a mistake; empty if nothing is."""
    if outcome.code is None or "Traceback" in outcome.err:
        return "traceback"
    if outcome.code in {0, 1}:
        return ""
    if outcome.code != 2:
        return "internal error" if outcome.code == 70 else f"exit code {outcome.code}"
    line, *others = _without_warnings(outcome.err.removeprefix(DEMO_STARTS)).split("\n")
    starts = (f"vtsearch {mistake.command}: ", f"vtsearch {mistake.argv[0]}: ")
    if others != [""] or not line.startswith(starts):
        return "not one line"
    if line != printable(line):
        return "control characters"
    return "" if _names(mistake, line) else "the option is not named"


def _without_warnings(text: str) -> str:
    """The lines of a text that are no warnings: these may come before the one about the mistake."""
    return "".join(
        line for line in text.splitlines(keepends=True) if not re.match(r"vtsearch [a-z ]+: warning: ", line)
    )


def _names(mistake: Mistake, line: str) -> bool:
    """Whether a line names the option: by its flag, by its Python name, or by the path that was given."""
    option = mistake.option.lstrip("-").replace("-", "_")
    spellings = [option, option.rpartition(".")[2]]
    said = line.replace("--", "").replace("-", "_")
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", said) for name in spellings):
        return True
    value = printable(mistake.value)
    return bool(value.strip()) and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", line) is not None


def stub_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run end before its first step: what is checked before it is checked, and nothing is trained."""
    from vtsearch.cli import demo
    from vtsearch.training import loop
    from vtsearch.training.result import RunResult

    score = {"expected": 0.5, "index": 0.5, "best": 0.5, "worst": 0.5}
    result = RunResult(score, None, {}, 0.5, 1, "query", 1, 1.0, 1.0)

    class Stub:
        def __init__(self, components: object, folder: Path) -> None:
            pass

        def finish(self) -> RunResult:
            return result

    monkeypatch.setattr(loop, "Run", Stub)
    monkeypatch.setattr(demo, "_next", lambda output: [])


def stub_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server end once it has opened its indexes."""
    from vtsearch.serve import server

    def end(service: Any, _address: object, listening: socket.socket, **_options: object) -> None:
        listening.close()
        asyncio.run(service.close())

    monkeypatch.setattr(server, "run", end)


def table(counts: dict[tuple[str, str], int]) -> str:
    """Counts by command and outcome."""
    commands = sorted({command for command, _ in counts})
    outcomes = sorted({outcome for _, outcome in counts})
    rows = [(command, [counts.get((command, outcome), 0) for outcome in outcomes]) for command in commands]
    rows.append(("all", [sum(column) for column in zip(*(row for _, row in rows), strict=True)]))
    lines = [f"{name:14}" + "".join(f"{count:>26,}" for count in row) for name, row in rows]
    return "\n".join([f"{'':14}" + "".join(f"{outcome:>26}" for outcome in outcomes), *lines])
