"""The process that started this server and others beside it, as the server sees it."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any


class Supervisor:
    """The parent of a server process, over standard input and output; this process ends when its parent does.

    What is printed from now on goes to standard error.
    """

    def __init__(self) -> None:
        self._output = os.dup(1)
        os.dup2(2, 1)
        with os.fdopen(os.dup(0), "rb", buffering=0) as lines:  # nothing behind the line is taken
            self.start: dict[str, Any] = json.loads(lines.readline())
            """What the parent says first."""
        threading.Thread(target=_end_with_input, daemon=True).start()

    def tell(self, error: str | None = None) -> None:
        """Say that this process takes connections, or why it cannot."""
        os.write(self._output, json.dumps({"error": error}).encode() + b"\n")


def _end_with_input() -> None:
    """Ask this process to end when nothing can come any more: the parent has gone."""
    while os.read(0, 2**10):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
