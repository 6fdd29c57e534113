"""Files and folders that appear as a whole, temporary names, and what killed writers leave."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import stat
import time

import pytest

from vtsearch import _atomic_io, _rename
from vtsearch._atomic_io import (
    aside,
    create_file,
    place_folder,
    placed_file,
    recover_folder,
    remove_leftovers,
    replaced_folder,
    swap_folder,
    temporary,
    write_file,
    writer_lock,
)


@pytest.fixture(params=["exchange", "two renames"])
def _both_ways(request, monkeypatch):
    """Where the system exchanges two folders in one step, and where it does not."""
    if request.param == "two renames":
        monkeypatch.setattr(_atomic_io, "exchange", lambda _one, _other: False)


def folder_with(path, content):
    path.mkdir(parents=True)
    (path / "content").write_text(content)
    return path


def content_of(path):
    return (path / "content").read_text()


def names_in(path):
    return sorted(each.name for each in path.iterdir())


@pytest.fixture
def _umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


# ---------------------------------------------------------------------------------------------------------------------
# Files


@pytest.fixture(params=["links", "no links"])
def _with_and_without_links(request, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_with_and_without_links")
def test_a_file_is_created_where_there_is_none(tmp_path):
    create_file(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert names_in(tmp_path) == ["file"]


def test_a_file_that_cannot_be_created_is_named(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"No space left.*/file"):
        create_file(tmp_path / "file", b"content")
    assert names_in(tmp_path) == []


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    for content in (b"old", b"new"):
        write_file(tmp_path / "a.json", content)
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.json"]


@pytest.mark.usefixtures("_with_and_without_links")
def test_a_file_that_a_library_writes_takes_its_name_at_the_end(tmp_path):
    with placed_file(tmp_path / "file", overwrite=False) as fresh:
        fresh.write_bytes(b"first")
        assert not (tmp_path / "file").exists()
        write_file(tmp_path / "file.other", b"")
        assert fresh.exists()
    with pytest.raises(FileExistsError), placed_file(tmp_path / "file", overwrite=False) as fresh:
        fresh.write_bytes(b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    (tmp_path / "link").symlink_to("file")
    with placed_file(tmp_path / "link", overwrite=True) as fresh:
        fresh.write_bytes(b"third")
        assert (tmp_path / "file").read_bytes() == b"first"
    assert (tmp_path / "file").read_bytes() == b"third"
    assert names_in(tmp_path) == ["file", "file.other", "link"]


def test_a_library_that_fails_leaves_the_old_file(tmp_path):
    write_file(tmp_path / "file", b"old")

    def fail():
        with placed_file(tmp_path / "file", overwrite=True) as fresh:
            fresh.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_errors_of_a_file_that_a_library_writes_name_it(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError) as failed, placed_file(tmp_path / "nowhere" / "file", overwrite=False):
        pass
    assert failed.value.filename == str(tmp_path / "nowhere" / "file")

    def refuse(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=r"No space left.*/file"), placed_file(tmp_path / "file", overwrite=False):
        pass
    with pytest.raises(OSError, match="other words"), placed_file(tmp_path / "file", overwrite=False):
        raise OSError("other words")
    assert names_in(tmp_path) == []


def test_a_second_writer_deletes_no_file_that_a_library_is_writing(tmp_path):
    with placed_file(tmp_path / "file", overwrite=True) as one:
        with placed_file(tmp_path / "file", overwrite=True) as two:
            two.write_bytes(b"two")
        assert one.exists()
        one.write_bytes(b"one")
    assert (tmp_path / "file").read_bytes() == b"one"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.usefixtures("_umask")
def test_a_file_has_the_permissions_of_the_umask(tmp_path):
    write_file(tmp_path / "a.json", b"")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_a_file_behind_a_symbolic_link_is_replaced_and_the_link_kept(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a.json")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a.json").read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="expected a regular file"):
            write_file(tmp_path / name, b"content")
        with (
            pytest.raises(OSError, match="expected a regular file"),
            placed_file(tmp_path / name, overwrite=True) as file,
        ):
            file.write_bytes(b"content")
        with pytest.raises(NotADirectoryError, match="expected a folder"), replaced_folder(tmp_path / name):
            pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(path for path in tmp_path.iterdir() if path.suffix != ".lock") == before


def test_an_error_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No such file") as failed:
        write_file(tmp_path / "nowhere" / "a.json", b"")
    assert failed.value.filename == str(tmp_path / "nowhere" / "a.json")


def test_unfinished_files_of_killed_writers_are_deleted_and_those_of_living_ones_kept(tmp_path):
    path = tmp_path / "a.json"
    temporary(path).write_bytes(b"half")
    alive, file = _atomic_io._new_file(path)
    others = [".a.json.bak", ".a.json.tmp", ".b.json.1-0123456789ab.tmp", ".a.json.x.1-0123456789ab.tmp"]
    for name in others:
        (tmp_path / name).touch()
    with file:
        write_file(path, b"new")
    assert names_in(tmp_path) == sorted(["a.json", alive.name, *others])


def test_the_longest_name_of_a_file_system_has_room_beside_it(tmp_path):
    path = tmp_path / ("n" * 255)
    write_file(path, b"new")
    with replaced_folder(tmp_path / ("ä" * 127)) as fresh:
        (fresh / "content").touch()
    assert len(names_in(tmp_path)) == 2


def test_two_names_of_the_same_process_differ(tmp_path):
    assert temporary(tmp_path / "a") != temporary(tmp_path / "a")


# ---------------------------------------------------------------------------------------------------------------------
# Folders


@pytest.mark.usefixtures("_both_ways")
def test_a_folder_is_replaced_and_nothing_else_is_left(tmp_path):
    for content in ("old", "new"):
        with replaced_folder(tmp_path / "model") as fresh:
            (fresh / "content").write_text(content)
        assert content_of(tmp_path / "model") == content
    assert names_in(tmp_path) == ["model"]


def test_an_error_while_a_folder_is_written_keeps_the_old_one(tmp_path):
    folder_with(tmp_path / "model", "old")
    with pytest.raises(RuntimeError, match="a mistake"), replaced_folder(tmp_path / "model"):
        raise RuntimeError("a mistake")
    assert content_of(tmp_path / "model") == "old"
    assert names_in(tmp_path) == ["model"]


@pytest.mark.usefixtures("_both_ways")
def test_a_folder_behind_a_symbolic_link_is_replaced_and_the_link_kept(tmp_path):
    folder_with(tmp_path / "there" / "model", "old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "model")
    with replaced_folder(tmp_path / "link") as fresh:
        (fresh / "content").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert content_of(tmp_path / "there" / "model") == "new"
    assert names_in(tmp_path) == ["link", "there"]


def test_a_second_rename_that_fails_is_undone(tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic_io, "exchange", lambda _one, _other: False)
    folder_with(tmp_path / "model", "old")
    monkeypatch.setattr(_atomic_io, "_flush", lambda folder: folder.rename(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError), replaced_folder(tmp_path / "model"):
        pass
    assert content_of(tmp_path / "model") == "old"
    assert names_in(tmp_path) == ["gone", "model"]


def test_a_second_writer_of_a_folder_is_refused_with_the_first_ones_name(tmp_path):
    with replaced_folder(tmp_path / "model"):
        with pytest.raises(BlockingIOError, match=rf"model: expected one writer at a time, this.*pid {os.getpid()} on"):
            replaced_folder(tmp_path / "model").__enter__()
        with replaced_folder(tmp_path / "other"):
            pass


def test_a_folder_takes_a_free_name_or_an_empty_folders(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("free", "empty"):
        place_folder(folder_with(tmp_path / "fresh", name), tmp_path / name)
        assert content_of(tmp_path / name) == name


def test_a_folder_does_not_take_the_name_of_something_that_appeared_meanwhile(tmp_path):
    (tmp_path / "file").touch()
    folder_with(tmp_path / "folder", "old")
    for name in ("file", "folder"):
        with pytest.raises(FileExistsError, match=f"{name}: expected a free name"):
            place_folder(folder_with(tmp_path / f"fresh {name}", "new"), tmp_path / name)
    assert content_of(tmp_path / "folder") == "old"


# ---------------------------------------------------------------------------------------------------------------------
# After a kill


def test_a_folder_that_a_killed_writer_set_aside_is_put_back(tmp_path):
    folder_with(aside(tmp_path / "model"), "old")
    recover_folder(tmp_path / "model")
    assert content_of(tmp_path / "model") == "old"
    assert names_in(tmp_path) == ["model"]


def test_a_folder_set_aside_whose_successor_stands_is_deleted_by_the_next_writer(tmp_path):
    folder_with(aside(tmp_path / "model"), "old")
    folder_with(tmp_path / "model", "new")
    recover_folder(tmp_path / "model")
    assert content_of(tmp_path / "model") == "new"
    with replaced_folder(tmp_path / "model"):
        pass
    assert names_in(tmp_path) == ["model"]


def test_unfinished_folders_of_killed_writers_are_deleted(tmp_path):
    left = [folder_with(temporary(tmp_path / "model"), "half"), folder_with(temporary(tmp_path / "other"), "half")]
    temporary(tmp_path / "model").touch()
    with writer_lock(tmp_path / "model"):
        remove_leftovers(tmp_path / "model")
    assert names_in(tmp_path) == [left[1].name]


def test_a_reader_waits_for_a_living_writer_between_its_two_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(_atomic_io, "RECOVERY_SECONDS", 0.02)
    folder_with(aside(tmp_path / "model"), "old")
    with writer_lock(tmp_path / "model"):
        recover_folder(tmp_path / "model")
        assert not (tmp_path / "model").exists()


def write_forever(path, exchanges):
    if not exchanges:
        _atomic_io.exchange = lambda _one, _other: False
    os.setpgid(0, 0)
    while True:
        with replaced_folder(path) as fresh:
            for name in ("content", "same"):
                (fresh / name).write_text(str(os.getpid()))


@pytest.mark.slow
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_writer_killed_at_any_moment_leaves_a_whole_folder(tmp_path, exchanges):
    path, moments = folder_with(tmp_path / "model", "0"), random.Random(0)
    (path / "same").write_text("0")
    context = multiprocessing.get_context("fork")
    for _ in range(300):
        process = context.Process(target=write_forever, args=(path, exchanges))
        process.start()
        time.sleep(moments.uniform(0.002, 0.02))
        process.kill()
        process.join()
        recover_folder(path)
        assert content_of(path) == (path / "same").read_text()
    with replaced_folder(path):
        pass
    assert names_in(tmp_path) == ["model"]


@pytest.mark.slow
def test_readers_always_see_a_whole_folder_where_folders_are_exchanged(tmp_path):
    path = folder_with(tmp_path / "model", "0")
    if not _rename.exchange(path, folder_with(tmp_path / "probe", "0")):
        pytest.skip("this file system does not exchange folders")
    process = multiprocessing.get_context("fork").Process(target=write_forever, args=(path, True))
    process.start()
    try:
        assert all(path.exists() for _ in range(20_000))
    finally:
        process.kill()
        process.join()


# ---------------------------------------------------------------------------------------------------------------------
# The exchange of two names


def test_names_are_exchanged_or_left(tmp_path):
    one, other = folder_with(tmp_path / "one", "1"), folder_with(tmp_path / "other", "2")
    done = _rename.exchange(one, other)
    assert (content_of(one), content_of(other)) == (("2", "1") if done else ("1", "2"))


def test_a_missing_name_is_an_error(tmp_path):
    if not _rename.exchange(folder_with(tmp_path / "one", "1"), folder_with(tmp_path / "other", "2")):
        pytest.skip("this file system does not exchange folders")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        _rename.exchange(tmp_path / "one", tmp_path / "nowhere")


def test_a_file_system_that_cannot_exchange_gets_two_renames(tmp_path, monkeypatch):
    def refuse(*_names):
        _rename.ctypes.set_errno(errno.EINVAL)
        return -1

    monkeypatch.setattr(_rename, "_system_call", lambda: refuse)
    folder_with(tmp_path / "model", "old")
    with writer_lock(tmp_path / "model"):
        swap_folder(folder_with(tmp_path / "fresh", "new"), tmp_path / "model")
    assert content_of(tmp_path / "model") == "new"
    assert names_in(tmp_path) == ["model"]


def test_a_system_without_the_call_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(_rename, "_system_call", lambda: None)
    assert not _rename.exchange(tmp_path, tmp_path)
