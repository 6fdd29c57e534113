"""``vtsearch serve``: a page and an API for one or several indexes."""

from __future__ import annotations

import os
import sys
import webbrowser
from functools import partial
from typing import TYPE_CHECKING

from vtsearch._validate import whole_number
from vtsearch.cli.cluster import add_ray_argument
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.sharding import SHARDS
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    import socket
    from argparse import Namespace
    from collections.abc import Callable

    from vtsearch.serve.engine import Engine

EXAMPLE = """  vtsearch serve photos --open
  vtsearch serve cifar-64 cifar-16
  vtsearch serve photos --images /mnt/photos --model run/best --port 9000
  vtsearch serve photos --workers 8
  vtsearch serve photos --ray --shards 8 --replicas 2
  VTSEARCH_TOKEN=$(openssl rand -hex 16) vtsearch serve photos --host 0.0.0.0"""
DESCRIPTION = """Serve a page that shows neighbours, mistakes and near-duplicates, and an HTTP API (docs/serve.md).

Everything stays on this machine unless --host says otherwise. No picture is changed or deleted; decisions on
near-duplicates are kept in the index, and items are added and removed only with --writable."""
LARGEST_PORT = 65_535
MOST_WORKERS = 256
DECODERS = 2
"""Processes that decode pictures, in all; each server has one at least."""
PASSES = 2
"""At once where actors scan: while one answer is on its way, the next question is asked."""
WORKER = "vtsearch.cli.serve_worker"


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("serve", DESCRIPTION, EXAMPLE)
    command.add_argument("index", nargs="+", help="folders of indexes; the first is shown first")
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; others than this machine's own need a token"
    )
    command.add_argument("--port", type=int, default=8000, help="port to listen at; 0 takes a free one")
    command.add_argument("--workers", type=int, default=1, help="server processes behind the port")
    add_ray_argument(command, "let actors scan the codes")
    command.add_argument("--shards", type=int, help=f"parts of each index that actors scan; by default {SHARDS}")
    command.add_argument("--replicas", type=int, help="actors of each part; by default 1")
    command.add_argument("--cpus", type=float, help="that Ray reserves for each actor; by default 1")
    command.add_argument("--open", action="store_true", help="open the page in a browser")
    command.add_argument(
        "--model",
        help="model folder for pictures, or user/name of the Hugging Face hub; by default the one that made each index",
    )
    command.add_argument("--images", help="folder of the indexes' images, if it has moved")
    command.add_argument(
        "--token",
        help="that requests must carry; by default $VTSEARCH_TOKEN, which other users of this machine cannot see",
    )
    command.add_argument("--writable", action="store_true", help="let requests add and remove items")
    command.add_argument("--read-only", action="store_true", help="refuse decisions on near-duplicates too")
    command.add_argument("--max-upload", type=int, default=32, help="MiB of a request")
    command.add_argument("--log", action="store_true", help="write a line of JSON for each request to standard error")
    return command


def run(argv: list[str]) -> int:
    """Serve; prints the address of the page once it can be opened."""
    args = parser().parse_args(argv)
    whole_number("port", args.port, 0, LARGEST_PORT)
    whole_number("max_upload", args.max_upload, 1, 4_096)
    whole_number("workers", args.workers, 1, MOST_WORKERS)
    engines = _engines(args)
    token = args.token or os.environ.get("VTSEARCH_TOKEN") or None
    require_extra("fastapi")
    require_extra("uvicorn")
    from vtsearch.serve.server import Address
    from vtsearch.serve.workers import Workers

    address = Address(args.host, args.port)
    if token is None and not address.is_local:
        raise ValueError(
            f"token: expected one for --host {args.host}, which other machines reach (--token or VTSEARCH_TOKEN)"
        )
    if args.writable and args.read_only:
        raise ValueError("read_only: expected one of --writable and --read-only, got both")
    tell = _teller(args.open, token)
    # The port is taken before an index is opened, which may take a while.
    if args.workers == 1:
        with address.listen() as listening:
            serve(args, listening, token, tell, engines)
    else:
        start, sockets = {"words": argv, "token": token}, address.listen_in_parts(args.workers)
        Workers([sys.executable, "-P", "-m", WORKER], start, sockets).run(tell)
    return 0


def serve(
    args: Namespace,
    listening: socket.socket,
    token: str | None,
    tell: Callable[[str], object],
    engines: Callable[[], Engine] | None = None,
) -> None:
    """Serve in this process what the words of the command name, until a signal ends it.

    Args:
        args: of ``parser``.
        listening: the socket, which is closed at the end.
        token: that requests must carry.
        tell: called with the URL once connections are taken.
        engines: makes what scans the codes of an index; by default this process does.
    """
    from vtsearch.serve.server import Address
    from vtsearch.serve.server import run as serve_service
    from vtsearch.serve.service import SearchService
    from vtsearch.serve.work import ServiceSettings

    settings = ServiceSettings(
        writable=args.writable,
        read_only=args.read_only,
        upload_bytes=args.max_upload * 2**20,
        decoders=-(-DECODERS // args.workers),
        passes=1 if engines is None else max(PASSES, args.replicas or 1),
    )
    service = SearchService(args.index, settings, engines=engines, model=args.model, images=args.images)
    address = Address(args.host, args.port)
    serve_service(service, address, listening, token=token, log_requests=args.log, tell=tell)


def _engines(args: Namespace) -> Callable[[], Engine] | None:
    """Makes the shards of an index, if actors are to scan."""
    given = [name for name in ("shards", "replicas", "cpus") if getattr(args, name) is not None]
    if args.ray is None:
        if given:
            raise ValueError(f"{given[0]}: expected --ray beside it")
        return None
    if args.workers > 1:
        raise ValueError("workers: expected one server beside --ray, whose actors scan; start others at other ports")
    from vtsearch.scale.shards import MOST_REPLICAS, MOST_SHARDS

    shards = whole_number("shards", SHARDS if args.shards is None else args.shards, 1, MOST_SHARDS)
    replicas = whole_number("replicas", 1 if args.replicas is None else args.replicas, 1, MOST_REPLICAS)
    require_extra("ray")
    from vtsearch.scale.serving import ShardEngine

    cpus = 1.0 if args.cpus is None else args.cpus
    return partial(ShardEngine.on_ray, args.ray, shards, replicas=replicas, cpus=cpus)


def _teller(opens: bool, token: str | None) -> Callable[[str], None]:
    """What says where the page is, and opens it."""

    def tell(url: str) -> None:
        print(f"{url}  (Ctrl-C ends the server)")
        sys.stdout.flush()
        if opens:
            webbrowser.open(url if token is None else f"{url}#token={token}")

    return tell
