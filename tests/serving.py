"""Small indexes, and the server's application or process over them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from vtsearch.index import Index
from vtsearch.serve.app import build_app
from vtsearch.serve.guard import GuardSettings
from vtsearch.serve.service import SearchService
from vtsearch.serve.work import ServiceSettings

BASE = "http://127.0.0.1:8000"
HOSTILE = '<img src=x onerror="alert(1)">'
ODD_IDS = [
    "a/b.png",
    "a%2Fb.png",
    "a b+c?d#e&f=g",
    "ünï/cødé 日本語.jpg",
    HOSTILE,
    "'; DROP TABLE items; --",
    "../../etc/passwd",
    "...",
    "tab\there",
    "back\\slash",
    "file-\udcff\udcfe.jpg",
    "100%",
    "%",
    "/thumbnail",
    "x/thumbnail",
]


def make_photos(path, items=300, bits=16):
    """One label per item, three segments, metadata with gaps; every seventh item is gone again."""
    random = np.random.default_rng(1)
    index = Index.create(path, bits, classes=["ant", "bee", HOSTILE])
    for part in np.array_split(np.arange(items), 3):
        codes = random.integers(0, 256, (len(part), bits // 8), dtype=np.uint8) & random.integers(
            0, 256, (len(part), bits // 8), dtype=np.uint8
        )
        metadata = {
            "width": [None if row % 11 == 0 else int(row % 40) for row in part],
            "ratio": [row / 7 for row in part],
            "note": [HOSTILE if row % 50 == 0 else f"n{row % 5}" for row in part],
        }
        index.add(codes, [f"dir/{row:03}.png" for row in part], part % 3, metadata)
    index.remove([f"dir/{row:03}.png" for row in range(0, items, 7)])
    index.close()
    return path


def make_tags(path):
    """Several labels per item, 20 bits."""
    random = np.random.default_rng(2)
    codes = random.integers(0, 256, (90, 3), dtype=np.uint8) & np.array([255, 255, 0xF0], dtype=np.uint8)
    with Index.create(path, 20, classes=["red", "round"]) as index:
        index.add(codes, [f"t{row}" for row in range(90)], random.integers(0, 2, (90, 4), dtype=np.uint8))
    return path


def make_odd(path):
    """No labels; ids that are hard to write in an address."""
    codes = np.arange(len(ODD_IDS), dtype=np.uint8)[:, None]
    with Index.create(path, 8) as index:
        index.add(codes, ODD_IDS)
    return path


def make_empty(path):
    """No items."""
    Index.create(path, 16).close()
    return path


def settings(**options):
    """Those of a test: no process is started that it has no use for."""
    return ServiceSettings(**({"decoders": 1} | options))


@contextmanager
def client_of(*paths, guard=None, model=None, headers=None, engines=None, **options):
    """A client of the application over these indexes, in this process; its ``service`` is what answers."""
    service = SearchService(paths, settings(**options), engines=engines, model=model)
    app = build_app(service, guard or GuardSettings())
    with TestClient(app, base_url=BASE, raise_server_exceptions=False, headers=headers) as client:
        client.service = service
        yield client


class ServerProcess:
    """A running ``vtsearch serve``; what it writes to standard error is in ``log``."""

    def __init__(self, process, url, log):
        self.process, self.url, self._log = process, url, log
        self.port = int(url.rsplit(":", 1)[1].strip("/"))

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        self._log.seek(0)
        return self._log.read().decode()

    def resident(self):
        """MiB in memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def children(self):
        """The processes that it has started and that have not ended."""
        lists = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(word) for each in lists for word in each.read_text().split()]

    def end(self, number=signal.SIGTERM, seconds=20):
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def server_of(*words, env=None):
    """A process of ``vtsearch serve`` with these words, at a free port."""
    command = [sys.executable, "-m", "vtsearch", "serve", *map(str, words), "--port", "0"]
    with tempfile.TemporaryFile() as log:
        environment = {**os.environ, **(env or {})}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process:
            try:
                line = process.stdout.readline()
                server = ServerProcess(process, line.split()[0].rstrip("/") if line else "http://:0", log)
                assert line, server.log
                yield server
            finally:
                if process.poll() is None:
                    process.kill()
