"""Mistakes to plant in the index, one at a time; the simulator must find each."""

from __future__ import annotations

import itertools
import os
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from unittest import mock

from vtsearch.errors import VtsearchError
from vtsearch.index import changes, create, decisions, items, segments, store, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

    from vtsearch.index import Index


def _not_synced(function: Callable[..., Any], folders: tuple[str, ...]) -> Callable[..., Any]:
    """A function that writes a file, without the sync of those in some folders."""

    def write(path: Path, *args: Any) -> Any:
        if path.parent.name not in folders:
            return function(path, *args)
        with mock.patch.object(os, "fsync"):
            return function(path, *args)

    return write


def codes_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segments, "write_arrays", _not_synced(segments.write_arrays, ("codes",)))


def items_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segments, "write_arrays", _not_synced(segments.write_arrays, ("items",)))


def metadata_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segments, "write_metadata", _not_synced(segments.write_metadata, ("metadata",)))


def tables_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segments, "write_arrays", _not_synced(segments.write_arrays, ("tables",)))


def tables_of_removed_items_kept(patch: pytest.MonkeyPatch) -> None:
    """Tables answer as if nothing had been removed."""

    def tabled(self: Any, first: int, function: Callable[..., Any] = segments.Part.tabled) -> Any:
        found = function(self, first)
        return None if found is None else found._replace(kept=None)

    patch.setattr(segments.Part, "tabled", tabled)


def decisions_on_other_items_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decisions.Decisions, "without", lambda self, _: self._replace(decisions=self.decisions[2:]))


def folders_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(segments, "sync_folder", lambda _: None)


def folder_of_a_new_index_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(create, "sync_folder", lambda _: None)


def deletions_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(writing, "sync_folders", lambda _: None)


def _ending(patch: pytest.MonkeyPatch, before: Callable[[Any, Any], object], after: Callable[[], object]) -> None:
    """Call functions before and after the end of each transaction."""
    transaction = store.Store.writing

    @contextmanager
    def writing_(self: store.Store, uuid: str) -> Iterator[store.Writer]:
        with transaction(self, uuid) as writer:
            yield writer
            before(self, writer)
        after()

    patch.setattr(store.Store, "writing", writing_)


def files_synced_after_the_commit(patch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def write(path: Path, arrays: Any, function: Callable[..., str] = segments.write_arrays) -> str:
        written.append(path)
        return _not_synced(function, ("codes", "items"))(path, arrays)

    def sync() -> None:
        while written:
            with suppress(OSError), written.pop().open("rb") as file:
                os.fsync(file.fileno())

    patch.setattr(segments, "write_arrays", write)
    _ending(patch, lambda *_: None, sync)


def replaced_files_deleted_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    def delete(self: store.Store, writer: store.Writer) -> None:
        for file in writer.contents.replaced:
            (self.path.parent / file).unlink(missing_ok=True)

    _ending(patch, delete, lambda: None)


def commit_not_durable(patch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def connected(path: Path, function: Callable[..., Any] = store._connected) -> Iterator[sqlite3.Connection]:
        with function(path) as db:
            if type(db) is not sqlite3.Connection:
                execute = db.execute
                db.execute = lambda sql, *params: execute("SELECT 1" if "synchronous" in sql else sql, *params)
            yield db

    patch.setattr(store, "_connected", connected)


def failed_commit_passed_over(patch: pytest.MonkeyPatch) -> None:
    transaction = store.Store.writing

    @contextmanager
    def writing_(self: store.Store, uuid: str) -> Iterator[store.Writer]:
        is_done = False
        try:
            with transaction(self, uuid) as writer:
                yield writer
                is_done = True
        except VtsearchError:
            if not is_done:
                raise

    patch.setattr(store.Store, "writing", writing_)


def failed_sync_passed_over(patch: pytest.MonkeyPatch) -> None:
    def write(path: Path, arrays: Any, function: Callable[..., str] = segments.write_arrays) -> str:
        def sync(descriptor: int, fsync: Callable[[int], None] = os.fsync) -> None:
            with suppress(OSError):
                fsync(descriptor)

        with mock.patch.object(os, "fsync", sync):
            return function(path, arrays)

    patch.setattr(segments, "write_arrays", write)


def state_of_a_failed_change_kept(patch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    change, reopened = writing.Writing._change, writing.reopened

    def recorded(*args: Any) -> Any:
        opened.append(reopened(*args))
        return opened[-1]

    def changed(self: Any, *args: Any, **options: Any) -> None:
        opened.clear()
        try:
            change(self, *args, **options)
        finally:
            self._open = opened[-1] if opened else self._open

    patch.setattr(writing, "reopened", recorded)
    patch.setattr(writing.Writing, "_change", changed)


def file_names_come_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "replace", lambda about, **_: about)


def reader_deletes_what_it_does_not_know(patch: pytest.MonkeyPatch) -> None:
    def refresh(self: Index, function: Callable[..., None] = writing.Writing.refresh) -> None:
        _delete_others(self.path, _named(self._generation().parts))
        function(self)

    patch.setattr(writing.Writing, "refresh", refresh)


def files_of_others_deleted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes.Change, "_delete", lambda self: _delete_others(self._folder, _named(self._before.parts)))


def _named(parts: Any) -> set[str]:
    return {f"{folder}/{name}" for part in parts for folder, name in part.segment.files.items()}


def _delete_others(folder: Path, named: set[str]) -> None:
    for path in sorted(folder.glob("*/*")):
        if f"{path.parent.name}/{path.name}" not in named:
            path.unlink()


def files_of_a_killed_change_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes.Change, "_delete", lambda _: None)


def files_of_a_killed_change_deleted_from_the_first_on(patch: pytest.MonkeyPatch) -> None:
    def delete(self: Any) -> None:
        for name in map(self._before.about.file_name, itertools.count()):
            files = self._files(name)
            if not any(file.exists() for file in files):
                return
            for file in files:
                file.unlink(missing_ok=True)
            segments.sync_folders(files)

    patch.setattr(changes.Change, "_delete", delete)


def only_further_files_of_a_killed_change_deleted(patch: pytest.MonkeyPatch) -> None:
    """Where a change writes fewer files under a name than the killed one, the others are left."""

    @contextmanager
    def cleaned(self: Any, prove: Callable[[], None]) -> Iterator[None]:
        yield
        prove()
        for name in map(self._before.about.file_name, itertools.count(self._named)):
            files = self._files(name)
            if not any(file.exists() for file in files):
                return
            for file in files:
                file.unlink(missing_ok=True)
            segments.sync_folders(files)

    patch.setattr(changes.Change, "cleaned", cleaned)


def state_of_a_killed_commit_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "sync_folder", lambda _: None)


def deletions_of_a_killed_change_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "sync_folders", lambda _: None)


def leftover_of_a_killed_creation_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "temporaries", lambda _: [])


def error_without_a_name(patch: pytest.MonkeyPatch) -> None:
    def sync(folder: Path, function: Callable[..., None] = segments.sync_folder) -> None:
        try:
            function(folder)
        except OSError as error:
            raise OSError(error.errno, error.strerror) from error

    patch.setattr(segments, "sync_folder", sync)


def segments_never_joined(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(changes, "_first_to_join", len)


def labels_of_removed_items_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(items.Items, "labels", property(lambda self: self._labels[: len(self)]))


def metadata_of_removed_items_kept(patch: pytest.MonkeyPatch) -> None:
    def values(self: Any, names: list[str], function: Callable[..., Any] = items.Items.values) -> Any:
        return function(self, names) if self._metadata is None else self._metadata.rows(names)

    patch.setattr(items.Items, "values", values)


def joined_sums_of_removed_items_kept(patch: pytest.MonkeyPatch) -> None:
    def columns(self: Any, function: Callable[..., items.Columns] = items.Items.columns) -> items.Columns:
        return function(self)._replace(sums=items.sums_of(self._table)[: len(self)])

    patch.setattr(items.Items, "columns", columns)


def condition_on_removed_items(patch: pytest.MonkeyPatch) -> None:
    def matching(self: Any, where: Any, function: Callable[..., Any] = items.Items.matching) -> Any:
        kept, self._kept = self._kept, None
        try:
            return function(self, where)[: len(self) if kept is None else len(kept)]
        finally:
            self._kept = kept

    patch.setattr(items.Items, "matching", matching)


def refresh_without_effect(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(writing.Writing, "refresh", lambda _: None)


MISTAKES: list[Callable[[pytest.MonkeyPatch], None]] = [
    codes_not_synced,
    items_not_synced,
    metadata_not_synced,
    tables_not_synced,
    tables_of_removed_items_kept,
    decisions_on_other_items_forgotten,
    folders_not_synced,
    folder_of_a_new_index_not_synced,
    deletions_not_synced,
    files_synced_after_the_commit,
    replaced_files_deleted_before_the_commit,
    commit_not_durable,
    failed_commit_passed_over,
    failed_sync_passed_over,
    state_of_a_failed_change_kept,
    file_names_come_again,
    reader_deletes_what_it_does_not_know,
    files_of_others_deleted,
    files_of_a_killed_change_stay,
    files_of_a_killed_change_deleted_from_the_first_on,
    only_further_files_of_a_killed_change_deleted,
    state_of_a_killed_commit_not_synced,
    deletions_of_a_killed_change_not_synced,
    leftover_of_a_killed_creation_stays,
    error_without_a_name,
    segments_never_joined,
    labels_of_removed_items_kept,
    metadata_of_removed_items_kept,
    joined_sums_of_removed_items_kept,
    condition_on_removed_items,
    refresh_without_effect,
]
