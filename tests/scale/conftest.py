"""A Ray cluster for the tests that need one: a head and two workers, each a node of its own."""

from __future__ import annotations

import importlib.util
import os

import pytest

os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_AUTH_MODE"] = "disabled"  # a token that lies in the home folder is for other clusters


@pytest.fixture(scope="module")
def ray_cluster():
    """Nodes of a cluster; this process is not connected to it yet, and is not afterwards."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs ray: pip install 'vtsearch[ray]'")
    import ray
    from ray_nodes import RayNodes

    nodes = RayNodes()
    yield nodes
    ray.shutdown()
    nodes.stop()
