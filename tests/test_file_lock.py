from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time

import pytest

from vtsearch import _file_lock
from vtsearch._file_lock import FileLock, lock_descriptor

fork = multiprocessing.get_context("fork")


@pytest.fixture
def lock(tmp_path):
    with FileLock(tmp_path / ".lock", tmp_path / "index") as lock:
        yield lock


def another(lock):
    return FileLock(lock.path, lock.target)


def hold(path, ready):
    FileLock(path, "index").acquire()
    ready.set()
    time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    ready = fork.Event()
    process = fork.Process(target=hold, args=(tmp_path / ".lock", ready))
    process.start()
    assert ready.wait(10)
    yield process
    process.kill()
    process.join()


def test_a_lock_is_held_once_and_its_file_is_gone_afterwards(lock):
    assert lock.is_exclusive
    with pytest.raises(BlockingIOError, match=f"index: expected one writer at a time, this process .pid {os.getpid()}"):
        another(lock).acquire()
    lock.release()
    assert not lock.is_exclusive
    assert not lock.path.exists()
    with another(lock):
        assert lock.path.exists()


def test_the_message_names_the_other_process(tmp_path, holder):
    expected = rf"one writer at a time, another process \(pid {holder.pid} on {socket.gethostname()}\) is writing it"
    with pytest.raises(BlockingIOError, match=expected):
        FileLock(tmp_path / ".lock", "index").acquire()


def test_the_kernel_releases_the_lock_of_a_killed_process(tmp_path, holder):
    holder.kill()
    holder.join()
    assert (tmp_path / ".lock").exists()
    with FileLock(tmp_path / ".lock", "index"):
        pass
    assert not (tmp_path / ".lock").exists()


def test_a_lock_is_waited_for(lock):
    threading.Timer(0.05, lock.release).start()
    with another(lock).acquire(wait=10):
        pass


def test_a_forked_child_does_not_hold_the_lock(lock):
    child = fork.Process(target=time.sleep, args=(60,))
    child.start()
    lock.release()
    with another(lock):
        pass
    child.kill()
    child.join()


def test_a_forked_child_does_not_release_the_lock(lock):
    child = fork.Process(target=lock.release)
    child.start()
    child.join()
    assert child.exitcode == 0
    with pytest.raises(BlockingIOError):
        another(lock).acquire()


@pytest.mark.parametrize("content", [b"", b"\x1b[31mred", b"pid 1 on \x1b[31m", b"\xff" * 5000])
def test_a_strange_lock_file_names_nobody(lock, content):
    lock.path.write_bytes(content)
    with pytest.raises(BlockingIOError, match=r"time, another process is writing it$"):
        another(lock).acquire()


def test_a_lock_file_that_is_a_symbolic_link_is_refused(tmp_path):
    (tmp_path / "precious").write_text("content")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic link"):
        FileLock(tmp_path / ".lock", "index").acquire()
    assert (tmp_path / "precious").read_text() == "content"


def test_a_file_system_without_locks_grants_them_to_everybody_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(_file_lock, "lock_descriptor", lambda _descriptor, shared: None)
    with FileLock(tmp_path / ".lock", "index") as one, FileLock(tmp_path / ".lock", "index") as other:
        assert (one.is_exclusive, other.is_exclusive) == (False, False)


def test_an_error_of_the_file_system_is_no_lock(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        descriptor = file.fileno()
    assert lock_descriptor(descriptor) is None


def test_many_threads_hold_it_one_after_another(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(20):
            with FileLock(tmp_path / ".lock", "index").acquire(wait=30):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) == 80


def test_a_shared_lock_is_held_by_several_and_keeps_a_single_holder_out(tmp_path):
    path = tmp_path / ".lock"
    first, second, single = (FileLock(path, "index", shared=shared) for shared in (True, True, False))
    with first:
        assert not first.is_exclusive
        with second, pytest.raises(BlockingIOError, match="this process"):
            single.acquire()
        assert path.exists()  # of the first, which still holds it
    assert not path.exists()
    with single, pytest.raises(BlockingIOError, match="this process"):
        first.acquire()
