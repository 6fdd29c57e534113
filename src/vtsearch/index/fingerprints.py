"""Whether the codes of two makers belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REMEDIES = {
    "arithmetic": "; encode with --precision {0}, or Encoder(..., precision={0!r}), for equal codes",
    "model": "; encode both with one model",
    "preprocessing": "; encode both at one image size, and both as images of a protocol or both as your own",
}
"""What makes fingerprints equal; {0} is the index's."""


def refuse_mixing(path: Path, own: Mapping[str, str], others: Mapping[str, str], whose: str) -> None:
    """Model and preprocessing must be the same, split and arithmetic where both have one.

    Raises:
        VtsearchError: naming both fingerprints.
    """
    for name in sorted({*own, *others}, key=lambda name: (name == "arithmetic", name)):
        ours, theirs = own.get(name), others.get(name)
        if ours != theirs and not (name in ("split", "arithmetic") and None in (ours, theirs)):
            raise VtsearchError(
                f"fingerprints: {path} has {name} {_short(ours)}, {whose} {name} {_short(theirs)}: "
                f"they do not belong together{REMEDIES.get(name, '').format(ours)}"
            )


def _short(fingerprint: str | None) -> str:
    return "(none)" if fingerprint is None else fingerprint[:12]
