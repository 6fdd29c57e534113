"""What the processes of a run do as one: the main process decides for all, and what fails in one ends all.

Without it, a process that fails leaves the others waiting for it. Everything here must be called by all processes.
"""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from accelerate import PartialState
from torch import distributed

from vtsearch._atomic_io import temporary
from vtsearch._error_text import format_error
from vtsearch.errors import VtsearchError, first_line
from vtsearch.tensors.distributed import number_of_processes
from vtsearch.training.config import LOCAL, flat
from vtsearch.training.trees import differing_keys, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vtsearch.training.config import TrainConfig

Value = TypeVar("Value")

VISIBLE_SECONDS = 60.0
"""How long a file of the main process may take to appear on other nodes; network file systems keep names that long."""
POLL_SECONDS = 0.1


def by_main(work: Callable[[], Value]) -> Value:
    """The value of `work`, which the main process does alone, in all processes.

    Args:
        work: its value can be pickled.

    Raises:
        Exception: what `work` raised, in the main process.
        VtsearchError: the message of that, in all others.
    """
    if number_of_processes() == 1:
        return work()
    value, error = _attempt(work) if distributed.get_rank() == 0 else (None, None)
    told = [(value, _said_by_this_process(error))]
    distributed.broadcast_object_list(told)
    if error is not None:
        raise error
    received, failure = told[0]
    if failure:
        raise VtsearchError(failure)
    result: Value = received  # type: ignore[assignment]
    return result


def together(work: Callable[[], Value]) -> Value:
    """The value of `work`, which each process does by itself.

    Raises:
        Exception: what `work` raised in this process.
        VtsearchError: the message of what it raised in another process.
    """
    if number_of_processes() == 1:
        return work()
    value, error = _attempt(work)
    failures = [failure for failure in everywhere(_said_by_this_process(error)) if failure]
    if error is not None:
        raise error
    if failures:
        raise VtsearchError(failures[0])
    result: Value = value  # type: ignore[assignment]
    return result


def first_on_each_node(work: Callable[[], Value]) -> Value:
    """As `together`, but the other processes of a node wait for its first one, which so fetches files for them."""
    if number_of_processes() == 1:
        return work()
    is_first = PartialState().is_local_main_process
    value = together(lambda: work() if is_first else None)
    result: Value = together(lambda: value if is_first else work())  # type: ignore[assignment]
    return result


def everywhere(value: Value) -> list[Value]:
    """The values of all processes, in the order of their ranks.

    Args:
        value: can be pickled.
    """
    if number_of_processes() == 1:
        return [value]
    values: list[Any] = [None] * number_of_processes()
    distributed.all_gather_object(values, value)
    return values


def require_shared(folder: Path, wait: float | None = None) -> None:
    """Refuse a run folder that is not the same folder for all processes, such as one on each node's own disk.

    Args:
        folder: of the run; the main process has made it.
        wait: seconds until a file that the main process writes has to be visible; by default `VISIBLE_SECONDS`.

    Raises:
        VtsearchError: names the node that has another folder.
    """
    if number_of_processes() == 1:
        return
    limit = VISIBLE_SECONDS if wait is None else wait
    host, name = by_main(lambda: (socket.gethostname(), _new_file(folder)))
    try:
        together(lambda: _require_visible(folder, name, host, limit))
    finally:
        if distributed.get_rank() == 0:
            (folder / name).unlink(missing_ok=True)


def require_same_config(config: TrainConfig) -> None:
    """Refuse processes that were started with other values; what only concerns a node's own files may differ.

    Raises:
        VtsearchError: names the first value that differs, and the process.
    """
    trees = everywhere((socket.gethostname(), {k: v for k, v in flat(config).items() if k not in LOCAL}))
    (first_host, wanted), *others = trees
    for number, (host, tree) in enumerate(others, start=1):
        if differing := differing_keys(wanted, tree):
            key = differing[0]
            raise VtsearchError(
                f"{key}: process 0 on {first_host} was started with {look_up(wanted, key)!r}, process {number} on "
                f"{host} with {look_up(tree, key)!r}; start all nodes with the same command"
            )


def require_same(value: object, what: str) -> None:
    """Refuse processes that differ in a value.

    Args:
        value: can be pickled and compared.
        what: the value, for the message.

    Raises:
        VtsearchError: names the first process that has another value than the main process.
    """
    (first_host, wanted), *others = everywhere((socket.gethostname(), value))
    for number, (host, other) in enumerate(others, start=1):
        if other != wanted:
            raise VtsearchError(f"{what}: process {number} on {host} has something else than process 0 on {first_host}")


@contextmanager
def named_losses() -> Iterator[None]:
    """Turn the error of a lost connection to another process into one that says so.

    Raises:
        VtsearchError: another process ended, or did not answer in time.
    """
    try:
        yield
    except RuntimeError as error:
        if number_of_processes() == 1 or not _is_of_connection(error):
            raise
        raise VtsearchError(
            "another process of this run ended or did not answer; its own messages tell why, and --resume continues "
            f"from the last checkpoint ({first_line(error)[:200]})"
        ) from error


def _attempt(work: Callable[[], Value]) -> tuple[Value | None, Exception | None]:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 (raised again when all processes know of it)
        return None, error


def _said_by_this_process(error: Exception | None) -> str:
    if error is None:
        return ""
    return f"process {distributed.get_rank()} on {socket.gethostname()}: {format_error(error)}"


def _new_file(folder: Path) -> str:
    """The name of a new file; it is one that the next process to hold the folder deletes."""
    path = temporary(folder / "config.yaml")
    path.write_text(secrets.token_hex(8))
    return path.name


def _require_visible(folder: Path, name: str, host: str, limit: float) -> None:
    deadline = time.monotonic() + limit
    while not _is_listed(folder, name):
        if time.monotonic() >= deadline:
            raise VtsearchError(
                f"output: {folder} on {socket.gethostname()} is not the folder of the main process on {host}; a run on "
                "several nodes needs one on storage that all of them share, by the same path"
            )
        time.sleep(POLL_SECONDS)


def _is_listed(folder: Path, name: str) -> bool:
    """Whether a folder lists a name; listing its parent makes network file systems look for the folder itself."""
    try:
        return any(each.name == folder.name for each in folder.absolute().parent.iterdir()) and (folder / name).exists()
    except OSError:
        return False


def _is_of_connection(error: RuntimeError) -> bool:
    return isinstance(error, distributed.DistError) or "gloo" in str(error)
