"""Tasks on the nodes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vtsearch.errors import VtsearchError, first_line
from vtsearch.scale.connection import AUTO, connect

RETRIES = 5
"""Of a task whose process or node dies."""


class RayTasks:
    """Runs tasks on a cluster; one whose process or node dies runs again elsewhere.

    Args:
        address: of the cluster, as for ``connect``.
        cpus: that Ray reserves for a task.

    Raises:
        ModuleNotFoundError, VtsearchError: as ``connect``.
    """

    def __init__(self, address: str = AUTO, *, cpus: float = 1.0) -> None:
        self._ray: Any = connect(address)
        self._cpus = cpus

    def map(self, function: Callable[[Any], None], tasks: Sequence[Any]) -> Iterator[None]:
        """Run the function for each task, in any order; yields after each that is done.

        Raises:
            VtsearchError: a task whose process died again and again.
            Exception: what a task raised.
        """
        ray = self._ray
        options = {"num_cpus": self._cpus, "max_retries": RETRIES, "scheduling_strategy": "SPREAD"}
        remote = ray.remote(function).options(**options)
        waiting = [remote.remote(task) for task in tasks]
        try:
            while waiting:
                done, waiting = ray.wait(waiting)
                ray.get(done)
                yield None
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            raise VtsearchError(
                f"ray: expected every task to end, one died {RETRIES + 1} times: {first_line(error)}"
            ) from error
        finally:
            for each in waiting:
                ray.cancel(each, force=False)
