"""Mistaken commands, made from the parsers: one line that names the option, code 2, and never a traceback.

``VTSEARCH_THOROUGH=1 pytest -m "" -s tests/cli/test_mistakes.py`` runs all and prints the counts by outcome.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import mistakes
import pytest
from hub_stand_in import hub_stand_in
from thorough import amount

FRAMEWORKS = ("csq", "hashnet", "adsh", "dpn", "orthohash")
WITHOUT_TORCH = (
    "data list",
    "data check",
    "decide",
    "deduplicate",
    "evaluate",
    "export",
    "import",
    "info",
    "report",
    "search",
    "serve",
)
OUTCOMES = {0: "no mistake", 1: "code 1", 2: "one line, code 2"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with hub_stand_in(tmp_path_factory.mktemp("cache")):
        yield mistakes.build(tmp_path_factory.mktemp("mistakes"))


def faults(commands, place):
    """Lines about commands that ended badly, and the counts of all by command and outcome."""
    counts, bad = Counter(), []
    for mistake in commands:
        outcome = mistakes.run(mistake, place)
        fault = mistakes.fault(mistake, outcome)
        counts[mistake.command, fault or OUTCOMES[outcome.code]] += 1
        if fault:
            bad.append(f"{fault}: {mistake.command} {mistake.option} <{mistake.what}>: {outcome.err[:300]}")
    return bad, counts


def test_a_few_mistakes_in_each_option_of_the_quick_commands_are_one_line(place, monkeypatch):
    mistakes.stub_serving(monkeypatch)
    commands = [each for each in mistakes.generate((), mistakes.FEW) if each.command in WITHOUT_TORCH][::3]
    bad, counts = faults(commands, place)
    assert bad == []
    assert counts.total() > 80


@pytest.mark.slow
def test_every_option_of_every_command_with_every_value_is_one_line(place, monkeypatch):
    mistakes.stub_training(monkeypatch)
    mistakes.stub_serving(monkeypatch)
    commands = list(mistakes.generate(FRAMEWORKS))[:: amount(8, 1)]
    bad, counts = faults(commands, place)
    print(f"\n{mistakes.table(counts)}")  # noqa: T201 (with -s)
    assert bad == []
    assert sum(number for (_, outcome), number in counts.items() if outcome == OUTCOMES[2]) > 600


@pytest.mark.slow
def test_a_process_answers_as_the_function_does(place, monkeypatch):
    """A traceback at the exit of the interpreter, or a warning of a library, is seen here only."""
    mistakes.stub_training(monkeypatch)
    mistakes.stub_serving(monkeypatch)
    compared = 0
    for mistake in list(mistakes.generate((), mistakes.FEW))[:: amount(43, 25)]:
        expected = mistakes.run(mistake, place)
        if mistake.command == "serve" and expected.code == 0:
            continue  # no mistake: the program would serve until it is killed
        with mistakes.cleaned(place):
            done = subprocess.run(
                [sys.executable, "-m", "vtsearch", *mistake.argv],
                cwd=place,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
        assert done.returncode == expected.code, done.stderr
        assert mistakes.fault(mistake, mistakes.Outcome(done.returncode, done.stderr)) == "", done.stderr
        compared += 1
    assert compared > 20


@pytest.mark.parametrize(
    "words", ["deduplicate index --radius 2 --radius 3", "info index --json --json", "data list --json --json"]
)
def test_the_last_of_two_flags_counts(place, words):
    assert mistakes.run(mistakes.Mistake("", "", "", tuple(words.split())), place).code == 0
