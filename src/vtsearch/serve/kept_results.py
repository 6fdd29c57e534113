"""Results that several requests need, made once and kept within bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Kept = TypeVar("Kept")


class KeptResults:
    """Results by their arguments; the ones used last stay, within a number of bytes. Each is made by one thread."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._results: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Kept], size: Callable[[Kept], int]) -> Kept:
        """The result of a key: the kept one, or a new one of ``make``, which takes ``size`` bytes."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                with self._lock:
                    if key in self._results:
                        self._results.move_to_end(key)
                        kept: Kept = self._results[key][0]
                        return kept
                made = make()
                self._keep(key, made, size(made))
                return made
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _keep(self, key: Hashable, made: Any, size: int) -> None:
        with self._lock:
            self._results[key] = made, size
            self._bytes += size
            while self._bytes > self._most and len(self._results) > 1:
                self._bytes -= self._results.popitem(last=False)[1][1]

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._results
