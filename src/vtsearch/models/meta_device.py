"""Networks on torch's meta device: names and shapes of their weights, without memory and without values."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def meta_device() -> Iterator[None]:
    """Build networks on the meta device, and leave out what would draw their start values.

    torch computes the shape of the result of each such operation in Python, which takes longer than to draw the values.
    """
    with torch.device("meta"), _NoStartValues():
        yield


class _NoStartValues(TorchFunctionMode):
    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        filled = args[0] if args else kwargs.get("tensor")
        is_in_place = function.__name__.endswith("_") and not function.__name__.endswith("__")
        if is_in_place and getattr(filled, "is_meta", False):
            return filled
        return function(*args, **kwargs)
