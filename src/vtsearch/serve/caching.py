"""Answers that a browser may keep."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request


def tagged(content: bytes, caching: str) -> dict[str, str]:
    """The headers of an answer that a browser may keep; ``content``: all that it depends on."""
    return {"Cache-Control": caching, "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}


def is_known(request: Request, headers: Mapping[str, str]) -> bool:
    """Whether the browser has this answer."""
    return request.headers.get("if-none-match") == headers["ETag"]
