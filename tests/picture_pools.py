"""Pools of decoding processes and pictures for them, for the tests."""

from __future__ import annotations

import asyncio
import io
import os
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Event

from container_files import encoded
from local_server import served
from PIL import Image

from vtsearch.serve.pictures import PicturePool, PictureSource

ORIENTATION = 0x0112
URLS = PictureSource({"urls": "given"})


def opened(content):
    return Image.open(io.BytesIO(content))


def is_gone(pid):
    """Whether there is no such process, a dead one that nobody waited for included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@contextmanager
def pool_of(processes=1, **options):
    pool = PicturePool(processes, **options)
    started = pool.pids
    try:
        yield pool
    finally:
        pids = {*started, *pool.pids}
        pool.terminate()
    assert all(map(is_gone, pids))


def pictures_in(folder):
    """The source of a folder with a large JPEG on its side, a wide PNG and a small one."""
    folder.mkdir()
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    noise = Image.effect_noise((1600, 1200), 50).convert("RGB")
    noise.save(folder / "large.jpg", exif=turned)
    noise.resize((300, 100)).convert("RGBA").save(folder / "wide.png")
    Image.new("RGB", (32, 20), "red").save(folder / "small.png")
    return PictureSource({"files": str(folder)}, index="codes")


def thumbnail(pool, source, name, side=64):
    return opened(asyncio.run(pool.thumbnail(source, name, side)))


def decode(pool, upload, least_side=None):
    return asyncio.run(pool.decode(upload, "upload.png", least_side))


class Slow(BaseHTTPRequestHandler):
    """Answers with an image, when the test says so."""

    def do_GET(self):
        self.server.asked.set()
        self.server.answer.wait(30)
        content = encoded(1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def slow_server():
    """A server that has been ``asked`` for an image and waits until it may ``answer``."""
    with served(Slow, asked=Event(), answer=Event()) as server:
        yield server
        server.answer.set()
