"""Progress bars on stderr, on terminals only; remarks on stderr."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHOWN_AFTER_S = 1.0


def show_remarks(remarks: Iterable[str]) -> None:
    """Print sentences about what was left out or taken in doubt, a line each, on stderr."""
    for remark in remarks:
        print(f"warning: {remark}", file=sys.stderr)


@contextmanager
def counting(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar over ``total`` images; yields its update function."""
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=" images", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        yield bar.update


@contextmanager
def scanning(label: str) -> Iterator[Callable[[int, int], object] | None]:
    """A progress bar of a scan, shown after a second; yields a function of items done and items in total.

    Searching needs no extra: without tqdm there is no bar either.
    """
    if not sys.stderr.isatty() or find_spec("tqdm") is None:
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=label, unit=" items", unit_scale=True, file=sys.stderr, delay=SHOWN_AFTER_S, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
