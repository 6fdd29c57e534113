"""The program of one of several servers behind one socket: ``vtsearch serve --workers N`` starts it."""

from __future__ import annotations

import socket
import sys

from vtsearch._error_text import format_error, is_expected
from vtsearch.cli.boundary import USAGE_ERROR, conclude
from vtsearch.cli.serve import parser, serve
from vtsearch.serve.supervisor import Supervisor


def main() -> int:
    """Serve the socket that the parent hands down; returns the exit code."""
    supervisor = Supervisor()
    words, token = supervisor.start["words"], supervisor.start["token"]
    try:
        with socket.socket(fileno=supervisor.start["socket"]) as listening:
            serve(parser().parse_args(words), listening, token, lambda _url: supervisor.tell())
    except BaseException as error:  # noqa: BLE001 (the boundary, as that of the command line)
        if not is_expected(error):
            return conclude(error, "serve", words)
        supervisor.tell(format_error(error))
        return USAGE_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
