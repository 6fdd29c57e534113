"""How to repeat the numbers: commands, fingerprints, environment, configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtsearch.reports.document import NONE, Block, Cell, Facts, Listing, Section, Table
from vtsearch.reports.markdown import UNKNOWN
from vtsearch.reports.method_names import differing, word
from vtsearch.reports.run_files import CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vtsearch.reports.saved_run import SavedRun
    from vtsearch.reports.subjects import Subject

SHORT = 12
"""Digits of a fingerprint, and lines that need no folding."""
SHOWN = frozenset({"framework", "bits", "seed"})
"""What other tables tell."""


def repeat(subjects: Sequence[Subject]) -> Section:
    """Everything that decides the numbers of some subjects."""
    named = [(subject.method, subject.run) for subject in subjects if subject.run is not None]
    blocks: list[Block] = []
    if commands := _commands(subjects):
        blocks.append(Listing("Commands", commands, folded=commands.count("\n") >= SHORT))
    blocks.append(_fingerprints(subjects))
    if named:
        blocks += _environment([run for _, run in named])
        blocks += _configuration(named)
    return Section("To repeat this", blocks, "Commands, fingerprints, environment, configuration.")


def _commands(subjects: Sequence[Subject]) -> str:
    """The command of each run or evaluation, with the names of folders rather than where they are."""
    lines = []
    for subject in subjects:
        if subject.run is not None:
            lines.append(f"vtsearch train --config {subject.name}/{CONFIG} --output NEW_FOLDER")
        elif subject.context.command != UNKNOWN:
            lines.append(subject.context.command)
    return "\n".join(dict.fromkeys(lines))


def _fingerprints(subjects: Sequence[Subject]) -> Table:
    rows: list[list[Cell | str]] = []
    for subject in subjects:
        context = subject.context
        rows.append(
            [
                subject.name,
                subject.protocol,
                context.backbone if context.backbone != UNKNOWN else NONE,
                NONE if subject.seed is None else str(subject.seed),
                *(_short(each) for each in (context.split, context.model, context.preprocessing)),
            ]
        )
    head = ["codes", "protocol", "backbone", "seed", "split", "model", "preprocessing"]
    note = f"The first {SHORT} digits of sha256; equal fingerprints are equal splits, models, preprocessing."
    return Table("Fingerprints", head, rows, note, texts=len(head), folded=len(rows) > SHORT)


def _short(fingerprint: str) -> str:
    return NONE if fingerprint == UNKNOWN else fingerprint[:SHORT]


def _environment(runs: Sequence[SavedRun]) -> list[Block]:
    names = dict.fromkeys(name for run in runs for name in run.environment)
    if not names:
        return []
    pairs = []
    for name in names:
        values = dict.fromkeys(_text(run.environment.get(name)) for run in runs)
        pairs.append((name.removeprefix("packages."), ", ".join(values)))
    return [Facts("Environment", pairs)]


def _configuration(named: Sequence[tuple[str, SavedRun]]) -> list[Block]:
    """What all runs share as lines, and what differs between methods as a table."""
    configs = [run.config for _, run in named]
    varied = differing(configs)
    shared = {name: value for name, value in configs[0].items() if name not in varied}
    tables = [_differences(named, [name for name in varied if name not in SHOWN])]
    title = "Configuration" if not varied else "Configuration that all runs share"
    return [*(table for table in tables if table.rows), Listing(title, lines_of(shared), folded=True)]


def _differences(named: Sequence[tuple[str, SavedRun]], varied: Sequence[str]) -> Table:
    """What differs, a line for each name and a column for each method."""
    methods: dict[str, list[SavedRun]] = {}
    for method, run in named:
        methods.setdefault(method, []).append(run)
    rows: list[list[Cell | str]] = []
    for name in varied:
        seen = [dict.fromkeys(_value(run.config, name) for run in runs) for runs in methods.values()]
        rows.append([name, *(" or ".join(values) for values in seen)])
    note = f"Beside framework, bits and seed. {NONE}: not a part of that configuration."
    return Table("What differs", ["setting", *methods], rows, note, texts=1 + len(methods))


def _value(config: Mapping[str, Any], name: str) -> str:
    return word(config[name]) if name in config else NONE


def lines_of(config: Mapping[str, Any]) -> str:
    """A flat configuration as lines of ``name: value``."""
    return "\n".join(f"{name}: {_text(value)}" for name, value in config.items())


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
