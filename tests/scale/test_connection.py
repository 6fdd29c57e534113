"""Addresses of clusters, before Ray is asked."""

from __future__ import annotations

import pytest
from ray_nodes import free_port

from vtsearch.errors import VtsearchError
from vtsearch.scale.connection import connect


@pytest.mark.slow
@pytest.mark.parametrize("address", ["head", "head:", "ray://head:10001", "127.0.0.1:99999", ":6379"])
def test_what_is_no_address_is_refused_at_once(address):
    pytest.importorskip("ray")
    with pytest.raises(VtsearchError, match=f"ray: no cluster answers at {address}: "):
        connect(address)


@pytest.mark.slow
def test_an_address_at_which_nobody_answers_is_refused_at_once(monkeypatch):
    pytest.importorskip("ray")
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(VtsearchError, match="refused"):
        connect(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(VtsearchError, match=address):
        connect()


@pytest.mark.slow
def test_a_process_has_one_cluster(ray_cluster):
    ray = connect(ray_cluster.address)
    assert connect(ray_cluster.address) is ray
    assert connect() is ray
    with pytest.raises(VtsearchError, match="which this process is connected to"):
        connect("elsewhere:1")
