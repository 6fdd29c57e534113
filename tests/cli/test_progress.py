"""Who sits at a terminal sees a bar of a long scan, and none of a short one."""

from __future__ import annotations

import io
import sys
import time

import numpy as np
import pytest

from vtsearch import _database, reference
from vtsearch.cli import main, progress
from vtsearch.encoding.batches import StageSeconds
from vtsearch.index import Index

NO_TIME = StageSeconds()

WORDS = {
    "deduplicate": ["deduplicate", "index", "--radius", "1"],
    "search": ["search", "0000", "--index", "index"],
    "evaluate": ["evaluate", "--queries", "index", "--database", "index"],
}
EVERY_COMMAND = pytest.mark.parametrize("command", WORDS)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def index(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Index.create("index", 16) as index:
        for seed in (0, 1):
            features = np.random.default_rng(seed).normal(size=(500, 16))
            index.add(reference.pack(features), labels=np.arange(500) % 3)
    for name in ("RANGE_BYTES", "REPORTED_PAIRS", "FEWEST_REPORTED"):
        monkeypatch.setattr(_database, name, 200)


def said(monkeypatch, words, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert main(words) == 0
    return stream.getvalue()


@EVERY_COMMAND
def test_a_long_scan_shows_a_bar_on_a_terminal(index, monkeypatch, command):
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    assert f"{command.removesuffix('e')}ing: 0.00 items [" in said(monkeypatch, WORDS[command], Terminal())


def test_the_bar_counts_items(monkeypatch):
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with progress.scanning("searching") as show:
        for done in (300, 1000):
            time.sleep(0.15)  # a bar is drawn ten times a second at most
            show(done, 1000)
    assert " 30%|" in stream.getvalue()
    assert "1.00k/1.00k [" in stream.getvalue()


@EVERY_COMMAND
def test_a_short_scan_shows_none(index, monkeypatch, command):
    assert said(monkeypatch, WORDS[command], Terminal()) == ""


@EVERY_COMMAND
def test_a_file_gets_none(index, monkeypatch, command):
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    assert said(monkeypatch, WORDS[command], io.StringIO()) == ""


@EVERY_COMMAND
def test_without_tqdm_there_is_none(index, monkeypatch, command):
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "find_spec", lambda _: None)
    assert said(monkeypatch, WORDS[command], Terminal()) == ""


@EVERY_COMMAND
def test_the_bar_changes_no_answer(index, monkeypatch, capsys, command):
    main(WORDS[command])
    plain = capsys.readouterr().out
    said(monkeypatch, WORDS[command], Terminal())
    assert capsys.readouterr().out == plain


class Clock:
    """Seconds since some moment, moved by the test."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(progress, "time", clock := Clock())
    return clock


def test_an_encoding_shows_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with progress.EncodingReport() as report:
        report.start(500, 1000)
        time.sleep(0.15)
        report.advance(300, NO_TIME)
    assert "encoding:  80%" in stream.getvalue()
    assert "800/1000 [" in stream.getvalue()


def test_an_encoding_writes_a_line_a_minute_into_a_file(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    with progress.EncodingReport() as report:
        report.start(5_000, 20_000)
        for _ in range(14):
            clock.now += 10
            report.advance(1_000, NO_TIME)
    assert stream.getvalue().splitlines() == [
        "vtsearch encode: 11,000 of 20,000 images (55 %), 100 images/s, 0:01:30 left",
        "vtsearch encode: 17,000 of 20,000 images (85 %), 100 images/s, 0:00:30 left",
    ]
    assert report.images_per_second == 100


def test_the_seconds_of_all_batches_add_up(clock):
    report = progress.EncodingReport()
    report.start(0, 2_000)
    for _ in range(2):
        clock.now += 10
        report.advance(1_000, StageSeconds(decode=8.0, model=1.25, waiting=0.5))
    assert report.summary() == "100 images/s; decoding 16.0 s, model 2.5 s, waiting for images 1.0 s"


def test_an_interrupted_encoding_says_what_is_done(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    report = progress.EncodingReport()
    report.start(0, 20_000)
    report.advance(1_000, NO_TIME)
    with pytest.raises(KeyboardInterrupt), report:
        raise KeyboardInterrupt
    assert stream.getvalue() == "vtsearch encode: 1,000 of 20,000 images are encoded; the same command continues\n"
