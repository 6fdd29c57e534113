"""An error in one line: the sentence that the command line and the HTTP API give, and whose fault it is."""

from __future__ import annotations

import dis
import os

from vtsearch._printable import printable
from vtsearch.errors import VtsearchError, extra_of, first_line, missing_extra

USER_MODULES = "vtsearch_framework_"
"""Beginning of the names of modules made from files of the user's, which hold frameworks."""

LONGEST_LINE = 1000
"""Characters of a message; a longer one loses its middle."""


def is_expected(error: BaseException) -> bool:
    """Whether an error is the user's to mend.

    It is if the system refused something, a package is missing, memory is short, a ``raise`` statement of vtsearch
    raised it, or code in a file of the user's did or called what did. What a library or the interpreter raises
    otherwise was not expected, whatever its class.
    """
    if isinstance(error, (VtsearchError, OSError)) or is_out_of_memory(error):
        return True
    if isinstance(error, ImportError):
        return not (error.name or "vtsearch").startswith("vtsearch")
    if user_line(error) is not None:
        return True
    return not isinstance(error, AssertionError) and _is_raised_here(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory is short: torch has no common class for that."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def format_error(error: BaseException) -> str:
    """The message of an error on one line: a system error as ``path: reason``, a missing module with its extra."""
    return one_line(_message(error))


def _message(error: BaseException) -> str:
    if is_out_of_memory(error):
        return f"needs more memory than there is ({first_line(error)})"
    if (line := user_line(error)) is not None and not _is_raised_here(error):
        return f"framework: {line}: {type(error).__name__}: {first_line(error)}"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and error.name and extra_of(error.name):
        error = missing_extra(error.name)
    elif isinstance(error, ImportError) and error.name:
        return f"cannot import {error.name.partition('.')[0]} ({first_line(error)}); reinstall that package"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    # a line break in a message is layout, and in a name it is escaped
    return " ".join(str(error).split("\n")) or type(error).__name__


def user_line(error: BaseException) -> str | None:
    """``my_file.py:12``, the last line of a file of the user's on the way to an error; None if it came elsewhere."""
    trace, found = error.__traceback__, None
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(USER_MODULES):
            found = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def one_line(text: str) -> str:
    """A text that may be printed, on one line without its middle if it is long."""
    line = " ".join(printable(text).split())
    if len(line) <= LONGEST_LINE:
        return line
    half = LONGEST_LINE // 2
    return f"{line[:half]} ... {line[-half:]}"


def _is_raised_here(error: BaseException) -> bool:
    """Whether a ``raise`` statement in a module of vtsearch raised an error."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return module.startswith("vtsearch.") and dis.opname[instruction] == "RAISE_VARARGS"
