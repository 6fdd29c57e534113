"""The searches of ``vtsearch serve`` behind Ray Serve, to be compared by ``serve_load.py servers --also``.

    pip install 'ray[serve]'
    python benchmarks/serve_ray_serve.py [--replicas 1] INDEX

A cluster of this machine, a proxy and replicas; each replica answers as a server of ``vtsearch serve`` does.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys

import ray
from ray import serve
from starlette.responses import Response

from vtsearch.serve.service import SearchService
from vtsearch.serve.wire import SearchRequest
from vtsearch.serve.work import ServiceSettings


@serve.deployment(max_ongoing_requests=256, ray_actor_options={"num_cpus": 0.5})
class Search:
    """One replica."""

    def __init__(self, folder):
        self._service = SearchService([folder], ServiceSettings(decoders=1))

    async def __call__(self, request):
        query = SearchRequest.model_validate_json(await request.body())
        answer = await self._service.search(query)
        return Response(answer.model_dump_json(), media_type="application/json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index")
    parser.add_argument("--replicas", type=int, default=1)
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    logs = {"log_level": "ERROR", "enable_access_log": False}
    serve.start(http_options={"host": "127.0.0.1", "port": port}, logging_config=logs)
    serve.run(Search.options(num_replicas=given.replicas).bind(given.index), route_prefix="/v1/search")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"http://127.0.0.1:{port}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
