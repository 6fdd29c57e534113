"""``python -m vtsearch`` is the ``vtsearch`` command."""

from __future__ import annotations

import sys

from vtsearch.cli import main

if __name__ == "__main__":
    sys.exit(main())
