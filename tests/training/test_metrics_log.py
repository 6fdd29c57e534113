from __future__ import annotations

import pytest

from vtsearch.errors import VtsearchError
from vtsearch.training.metrics_log import MetricsLog, read_metrics


def test_lines_after_the_checkpoint_are_forgotten_and_written_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as journal:
        journal.write("step", step=1)
        length = journal.sync()
        journal.write("step", step=2)
    with MetricsLog(path) as journal:
        journal.cut(length)
        journal.write("step", step=2)
    assert read_metrics(path) == [{"event": "step", "step": 1}, {"event": "step", "step": 2}]


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    with MetricsLog(tmp_path / "metrics.jsonl") as journal:
        journal.write("step", step=1)
        assert len(read_metrics(tmp_path / "metrics.jsonl")) == 1


def test_a_file_shorter_than_the_checkpoint_is_refused(tmp_path):
    with MetricsLog(tmp_path / "metrics.jsonl") as journal, pytest.raises(VtsearchError, match="expected the 10 bytes"):
        journal.cut(10)


def test_other_processes_than_the_main_one_keep_nothing():
    with MetricsLog(None) as journal:
        journal.write("step", step=1)
        journal.cut(10)
        assert journal.sync() == 0


@pytest.mark.parametrize("line", ["[" * 100_000, "\xff\xfe", "5", "{", "9" * 10_000])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(f'{{"event": "step"}}\n{line}\n', encoding="latin-1")
    with pytest.raises(VtsearchError, match=r"metrics\.jsonl"):
        read_metrics(tmp_path / "metrics.jsonl")
