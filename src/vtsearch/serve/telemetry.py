"""What the server tells of its requests: Prometheus metrics, and a JSON line each; never what they contain."""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.types import Scope

    from vtsearch.serve.wire import Service

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
"""Seconds."""

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of prometheus_client that names the folder in which processes keep what they have counted."""

_requests = logging.getLogger("vtsearch.serve.requests")


class Telemetry:
    """Counts requests by route, not by address: ids are the user's.

    Args:
        about: the server and its indexes now.
    """

    def __init__(self, about: Callable[[], Service]) -> None:
        self._registry = CollectorRegistry()
        self._count = Counter("vtsearch_requests", "Requests", ("route", "status"), registry=self._registry)
        self._seconds = Histogram(
            "vtsearch_request_seconds", "Time of an answer", ("route",), buckets=BUCKETS, registry=self._registry
        )
        self._bytes = Counter("vtsearch_answer_bytes", "Bytes of answers", registry=self._registry)
        self._started = Gauge(
            "vtsearch_start_time_seconds", "When the server started", registry=self._registry, multiprocess_mode="min"
        )
        self._started.set(time.time())
        self._told = self._registry
        if METRICS_FOLDER in os.environ:  # the sums of all processes behind one port
            self._told = CollectorRegistry()
            MultiProcessCollector(self._told)  # type: ignore[no-untyped-call]
        self._told.register(_Indexes(about))

    def record(self, scope: Scope, status: int, seconds: float, size: int) -> None:
        """Count a request, and log it."""
        route = getattr(scope.get("route"), "path", None) or "other"
        self._count.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._bytes.inc(size)
        if _requests.isEnabledFor(logging.INFO):
            values = {"method": scope["method"], "route": route, "status": status}
            _requests.info("request", extra={"values": values | {"ms": round(1_000 * seconds, 2), "bytes": size}})

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._told)


class _Indexes:
    """The items of each index."""

    def __init__(self, about: Callable[[], Service]) -> None:
        self._about = about

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge of now."""
        family = GaugeMetricFamily("vtsearch_index_items", "Items of an index", labels=["index"])
        for index in self._about().indexes:
            family.add_metric([index.name], index.items)
        yield family


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, message, and what belongs to it."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {"time": f"{moment}.{record.msecs:03.0f}Z", "level": record.levelname.lower()}
        values: Mapping[str, Any] = getattr(record, "values", {})
        line |= {"message": record.getMessage(), **values}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
