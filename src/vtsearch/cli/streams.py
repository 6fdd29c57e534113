"""Standard output and standard error of a command: they may be closed, full, or a terminal that obeys escape codes."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from vtsearch._printable import printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

STDOUT = "standard output"


class Output:
    """Text stream whose control characters are escaped and whose errors name standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; returns its length.

        Raises:
            OSError: a full disk, a closed pipe; its file name is "standard output".
        """
        with self._guarded():
            try:
                self._stream.write(printable_lines(text))
            except UnicodeEncodeError:  # a terminal or a file of few characters
                ascii_text = text.encode("ascii", "backslashreplace").decode("ascii")
                self._stream.write(printable_lines(ascii_text))
        return len(text)

    def flush(self) -> None:
        """Hand the text to the system; errors as of ``write``, also an earlier one: argparse catches those of help."""
        with self._guarded():
            self._stream.flush()
        if self._error is not None:
            raise self._error

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            discard(self._stream)
            self._error = OSError(error.errno, error.strerror, STDOUT)
            raise self._error from error


class Messages(Output):
    """Standard error: a message that nobody can read does not stop the work."""

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            discard(self._stream)


def discard(stream: TextIO) -> None:
    """Send what a stream still holds, and all that follows, nowhere: Python would try again when it exits."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device)
        os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def standard_streams() -> Iterator[None]:
    """Run a block with guarded streams; closed ones are replaced by the null device.

    The numbers 0 to 2 are filled first: otherwise the next file that is opened becomes standard output, and whatever
    a library prints is written into it.
    """
    _fill_standard_numbers()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 (a device)
        out, err = Output(sys.stdout or nowhere), Messages(sys.stderr or nowhere)
        with redirect_stdout(cast("TextIO", out)), redirect_stderr(cast("TextIO", err)):
            yield


def _fill_standard_numbers() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
