"""The connection of this process to a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError, first_line, require_extra

if TYPE_CHECKING:
    from types import ModuleType

AUTO = "auto"
"""The address of the cluster that runs on this machine or that ``RAY_ADDRESS`` names, or else of a new one here."""

LOCAL = "local"
"""The address of a new cluster on this machine."""

ANSWER_SECONDS = 10
"""How long a head node may take to accept a connection: Ray itself asks for minutes."""


def connect(address: str = AUTO) -> ModuleType:
    """Ray, connected to a cluster; a process stays connected to its first one.

    Args:
        address: ``host:port`` of the head node; "auto" is the cluster that ``RAY_ADDRESS`` names or that runs on this
            machine, or else one that is started on this machine and ends with this process; "local" is always such
            a one.

    Raises:
        ModuleNotFoundError: Ray is not installed; names the command that installs it.
        VtsearchError: nothing answers at this address; or this process is connected to another cluster.
    """
    ray: Any = require_extra("ray")
    if ray.is_initialized():
        known = ray.get_runtime_context().gcs_address
        if address not in (AUTO, LOCAL) and address.rpartition(":")[2] != known.rpartition(":")[2]:
            raise VtsearchError(f"ray: expected {known}, which this process is connected to, got {address}")
        return ray  # type: ignore[no-any-return]
    named = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
    if named not in ("", AUTO, LOCAL):
        _refuse_silence(named)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # where several calls fail, the first is raised
    options = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": None}
    try:
        ray.init(address=None if address == AUTO else address, **options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise VtsearchError(f"ray: no cluster answers at {address}: {first_line(error)}") from error
    return ray  # type: ignore[no-any-return]


def _refuse_silence(address: str) -> None:
    """Raise if nothing accepts connections at an address.

    Raises:
        VtsearchError: naming the address.
    """
    host, _, port = address.rpartition(":")
    try:
        if not (host and port.isdecimal()):
            raise OSError("expected HOST:PORT of its head node")  # noqa: TRY301 (one sentence for all)
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise VtsearchError(f"ray: no cluster answers at {address}: {first_line(error)}") from error
