from __future__ import annotations

import io

from vtsearch.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tell(progress):
    progress.start(total=20, done=10)
    progress.step(10, "epoch 2/2", lambda: 0.5)
    with progress.counting("encoding query", 4) as count:
        count(4)
    progress.epoch("epoch 2/2", 0.5)
    progress.note("done")
    progress.stop()


def test_without_a_stream_nothing_is_said():
    progress = Progress(None)
    tell(progress)
    assert progress.images_per_second > 0


def test_a_file_gets_a_line_per_epoch_and_note():
    stream = io.StringIO()
    tell(Progress(stream))
    epoch, note = stream.getvalue().splitlines()
    assert epoch.startswith("epoch 2/2  loss 0.5000  ")
    assert epoch.endswith(" images/s  0:00:00 left")
    assert note == "done"


def test_a_terminal_gets_a_bar_with_speed_and_time_left_and_notes_above_it():
    stream = Terminal()
    tell(Progress(stream))
    seen = stream.getvalue()
    assert "20/20" in seen
    assert "images/s" in seen
    assert "encoding query" in seen
    assert "done\n" in seen


def test_the_loss_is_not_asked_for_where_nobody_looks():
    def loss():
        raise AssertionError

    progress = Progress(io.StringIO())
    progress.start(total=1, done=0)
    progress.step(1, "epoch 1/1", loss)
