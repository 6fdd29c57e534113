"""Frameworks of the user's own: a class in a Python file, named as ``my_file.py:MyLoss``.

Reading such a file runs it, as importing a module does. The class stays with the source it was made from, whatever
becomes of the file while the process lives.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import os
import re
import sys
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vtsearch._error_text import USER_MODULES, user_line
from vtsearch.errors import first_line, suggestion

if TYPE_CHECKING:
    from vtsearch.frameworks.base import Framework

_FILE = re.compile(r"(?P<file>.+\.py)(?::(?P<name>[^:]*))?", re.DOTALL)
_sources: dict[str, bytes] = {}
"""Name of the module of a file -> the content that was run."""


def is_file(framework: str) -> bool:
    """Whether a framework's name is that of a file, with or without a class."""
    return _FILE.fullmatch(framework) is not None


def absolute(framework: str) -> str:
    """The name of a framework with the absolute path of its file; other names as they are.

    Example:
        >>> absolute("csq")
        'csq'
        >>> absolute("/home/me/../loss.py:MyLoss")
        '/home/loss.py:MyLoss'
    """
    found = _FILE.fullmatch(framework)
    if found is None:
        return framework
    path = os.path.abspath(os.path.expanduser(found["file"]))  # noqa: PTH100, PTH111 (a link's own name is kept)
    return path if found["name"] is None else f"{path}:{found['name']}"


def short_name(framework: str) -> str:
    """The name of a framework without the folder of its file.

    Example:
        >>> short_name("/home/me/loss.py:MyLoss")
        'loss.py:MyLoss'
    """
    return PurePath(framework).name if is_file(framework) else framework


def class_name(framework: str) -> str:
    """The class of a framework in a file; other names as they are."""
    found = _FILE.fullmatch(framework)
    return (found["name"] or found["file"]) if found else framework


def load(framework: str) -> type[Framework]:
    """The class that a name such as ``my_file.py:MyLoss`` stands for; runs the file, once for each content.

    Raises:
        OSError: a file that cannot be read.
        ValueError: a file that raises an exception when it is run, or that does not define the class.
        TypeError: the class is no framework, or lacks a part.
    """
    found = _FILE.fullmatch(absolute(framework))
    assert found is not None  # see is_file
    module, name = _module(Path(found["file"])), found["name"] or ""
    value = vars(module).get(name)
    if value is None or (isinstance(value, type) and value.__module__ != module.__name__):
        defined = _defined_in(module)
        known = f"expected one of {', '.join(defined)}" if defined else "expected a subclass of Framework, it has none"
        got = f"got {name!r}{suggestion(name, defined)}" if name else f"got no class; write {found['file']}:CLASS"
        raise ValueError(f"framework: {found['file']}: {known}, {got}")
    return checked(value, f"framework: {found['file']}: {name}")


def checked(kind: Any, where: str) -> type[Framework]:
    """The argument, if it is a framework that a run can build.

    Args:
        kind: anything.
        where: what an error message begins with.

    Raises:
        TypeError: no subclass of ``Framework``, an abstract one, one of other arguments; ``Options`` is no dataclass.
        ValueError: a field of ``Options`` without a default.
    """
    from vtsearch.frameworks.base import Framework  # noqa: PLC0415 (imports torch)

    if not (isinstance(kind, type) and issubclass(kind, Framework)):
        got = "another class" if isinstance(kind, type) else f"a {type(kind).__name__}"
        raise TypeError(f"{where}: expected a subclass of vtsearch.frameworks.Framework, got {got}")
    if inspect.isabstract(kind):
        raise TypeError(f"{where}: expected the methods {', '.join(sorted(kind.__abstractmethods__))}, got none")
    try:
        inspect.signature(kind).bind(1, 1, 1, None, seed=0)
    except TypeError as reason:
        raise TypeError(
            f"{where}: expected the arguments bits, classes, train_size, options, seed, got others ({reason})"
        ) from reason
    _check_options(kind.Options, where)
    return kind


def _check_options(options: Any, where: str) -> None:
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)):
        raise TypeError(f"{where}.Options: expected a dataclass, got {options!r}")
    none = dataclasses.MISSING
    bare = [each.name for each in dataclasses.fields(options) if each.default is each.default_factory is none]
    if bare:
        raise ValueError(f"{where}.Options: expected a default for each field, got none for {', '.join(bare)}")


def source_of(kind: type[Framework]) -> bytes | None:
    """The source of a framework of the user's: the content of its file, or of a registered class its own text.

    None for a framework of vtsearch, and for a class whose text Python does not know.
    """
    if kind.__module__ in _sources:
        return _sources[kind.__module__]
    if kind.__module__.startswith("vtsearch."):
        return None
    try:
        return inspect.getsource(kind).encode()
    except (OSError, TypeError):  # typed into an interpreter
        return None


def _module(path: Path) -> ModuleType:
    """The module of a file's content; a file that has changed is another module."""
    import vtsearch.frameworks.base  # noqa: F401, PLC0415 (where torch is missing, the error is about torch)

    source = _read(path)
    digest = hashlib.sha256(os.fsencode(path) + b"\0" + source).hexdigest()
    name = f"{USER_MODULES}{path.stem}_{digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and type hints look their module up
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102 (what was asked for)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ValueError(f"framework: {_place(path, error)}: {type(error).__name__}: {first_line(error)}") from error
    _sources[name] = source
    return module


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"framework: {path}: no such file") from error
    except OSError as error:
        raise OSError(f"framework: {path}: {error.strerror or error}") from error


def _place(path: Path, error: BaseException) -> str:
    """The file and, if it is known, the line where running it failed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    return user_line(error) or str(path)


def _defined_in(module: ModuleType) -> list[str]:
    """Names of the frameworks that a file defines, abstract ones left out."""
    from vtsearch.frameworks.base import Framework  # noqa: PLC0415 (imports torch)

    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Framework)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
