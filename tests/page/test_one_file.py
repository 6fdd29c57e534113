"""The page as one file: opened from disk, without a server or a network."""

from __future__ import annotations

import pytest

from vtsearch.page import one_file

pytestmark = pytest.mark.slow
INDEX = {
    "name": "photos",
    "items": 3,
    "bits": 8,
    "labels": "single",
    "classes": ["ant", "bee"],
    "columns": {},
    "pictures": False,
    "encodes": False,
    "model": None,
    "folder": "photos",
    "generation": "1",
}
LIMITS = {"k": 1000, "batch": 1, "upload_bytes": 1, "pixels": 1}
SERVICE = {"version": "1", "writable": False, "decides": False, "limits": LIMITS, "indexes": [INDEX]}


def item(name, code, label):
    words = {"labels": [label], "names": [INDEX["classes"][label]], "metadata": {}}
    return {"id": name, "code": code, "thumbnail": None, "image": None, **words}


@pytest.fixture
def address(tmp_path):
    items = [item("a", "0f", 0), item("<b>", "ff", 1), item("c", "0e", 0)]
    path = tmp_path / "page.html"
    path.write_text(
        one_file("Photos", "app.js", {"service": SERVICE, "items": {"photos": items}}, ["style.css"]), "utf-8"
    )
    return path.as_uri()


def test_a_file_ranks_its_items(visit, address):
    page = visit(address + "#id=a", offline=True)
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    labels = page.eval_on_selector_all(".group .tile", "tiles => tiles.map(each => each.getAttribute('aria-label'))")
    assert labels == ["ant, distance 1, relevant", "bee, distance 4, not relevant"]
    page.click(".group .tile >> nth=1")
    page.wait_for_function(
        "() => document.querySelector('.group .tile').getAttribute('aria-label').includes('distance 4')"
    )


def test_what_a_file_does_not_hold_is_told(visit, address):
    page = visit(address + "#room=mistakes", offline=True)
    page.wait_for_selector(".notice.error")
    assert "Not in this file" in page.inner_text("main")
