"""A served index follows its folder: what was written before a request is in its answer."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
from serving import make_photos

from vtsearch.index import Index
from vtsearch.serve.file_look import TICK, Look
from vtsearch.serve.served_index import ServedIndex


@pytest.fixture
def folder(tmp_path):
    return make_photos(tmp_path / "photos")


def add(folder, name):
    with Index.open(folder) as index:
        index.upsert(np.zeros((1, 2), dtype=np.uint8), [name], np.zeros(1, dtype=np.int64))


def test_every_change_of_another_is_seen_by_the_next_request(folder):
    served = ServedIndex("photos", folder, seconds=3600)
    for number in range(20):  # some in one tick of the file system's clock
        add(folder, f"new-{number}")
        assert served.is_due()
        assert served.follow().positions_of([f"new-{number}"])[0] >= 0


def test_a_folder_that_does_not_change_is_read_once(folder):
    time.sleep(2e-9 * TICK)
    served = ServedIndex("photos", folder, seconds=3600)
    state = served.follow()
    assert not served.is_due()
    assert served.follow() is state


def test_a_change_that_the_file_system_does_not_tell_is_seen_in_time(folder, monkeypatch):
    monkeypatch.setattr(Look, "at", lambda _path: Look((1, 2, 3), is_sure=True))
    served = ServedIndex("photos", folder, seconds=0.2)
    served.follow()
    add(folder, "new")
    assert not served.is_due()
    time.sleep(0.2)
    assert served.follow().positions_of(["new"])[0] >= 0


def test_a_folder_that_is_gone_leaves_the_state_and_is_not_read_at_each_request(folder):
    served = ServedIndex("photos", folder, seconds=3600)
    before = served.follow()
    folder.rename(folder.with_name("elsewhere"))
    assert served.follow() is before
    assert not served.is_due()


def test_who_asks_after_a_change_waits_for_the_reading_that_began_before_it(folder):
    served = ServedIndex("photos", folder, seconds=3600)
    served.follow()
    with served._lock:  # as a reading holds it
        add(folder, "new")
        found = []
        thread = threading.Thread(target=lambda: found.append(served.follow()))
        thread.start()
        time.sleep(0.1)
        assert not found
    thread.join()
    assert found[0].positions_of(["new"])[0] >= 0


def test_a_file_of_this_moment_may_change_unseen(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"1")
    assert not Look.at(file).is_sure
    os.utime(file, (time.time() - 10, time.time() - 10))
    assert Look.at(file).is_sure
    os.utime(file, (time.time() + 1000, time.time() + 1000))  # by the clock of another machine
    assert Look.at(file).is_sure
    assert Look.at(tmp_path / "none") == Look(None, is_sure=True)
