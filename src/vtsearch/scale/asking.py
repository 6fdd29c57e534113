"""Questions to the newest state of a sharded index where an older one is gone."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from vtsearch.index.view import GenerationGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

_POSITIONS = "mask", "exclude"
"""Arguments that name items by their positions."""

Method = TypeVar("Method", bound="Callable[..., Any]")
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class HasStates(Protocol):
    """Has a state that answers, and can follow its index."""

    @property
    def current(self) -> Any:
        """The state that answers."""

    def refresh(self) -> None:
        """Open the newest state."""


def of_state(method: Method) -> Method:
    """A method of a state as one of what has states: asked once more, of the newest one, where a shard has lost it.

    Masks and positions are those of the items of one state: such questions raise the error.
    """

    @functools.wraps(method)
    def asked(self: HasStates, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self.current, *args, **kwargs)
        except GenerationGoneError:
            if any(kwargs.get(name) is not None for name in _POSITIONS):
                raise
        self.refresh()
        return method(self.current, *args, **kwargs)

    return cast("Method", asked)


def unbound(method: Callable[Concatenate[Any, Arguments], Answer]) -> Callable[Concatenate[Any, Arguments], Answer]:
    """The same method, of any class for the types."""
    return method
