"""Two folders change places in one step, where the system and the file system can do it."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""Linux, renameat2."""
RENAME_SWAP = 2
"""macOS, renamex_np."""

_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names that both exist; returns False if the system or the file system cannot.

    Raises:
        OSError: a missing name, or a refusal that is not about the exchange itself.
    """
    function = _system_call()
    if function is None:
        return False
    ctypes.set_errno(0)
    if function(os.fsencode(one), os.fsencode(other)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))


@cache
def _system_call() -> Any:
    """The exchange of two names as a function of two byte strings, or None."""
    if sys.platform not in ("linux", "darwin"):
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            swap: Any = library.renamex_np
            swap.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint)
            return lambda one, other: swap(one, other, RENAME_SWAP)
        rename: Any = library.renameat2
    except (OSError, AttributeError):  # a C library without it
        return None
    rename.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return lambda one, other: rename(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)
