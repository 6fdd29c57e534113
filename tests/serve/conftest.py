from __future__ import annotations

import pytest
from serving import client_of, make_empty, make_odd, make_photos, make_tags


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of small indexes that no test changes, by name."""
    place = tmp_path_factory.mktemp("indexes")
    makers = {"photos": make_photos, "tags": make_tags, "odd": make_odd, "empty": make_empty}
    return {name: make(place / name) for name, make in makers.items()}


@pytest.fixture(scope="module")
def client(folders):
    """A client of an application over them that does not change them."""
    with client_of(*folders.values()) as client:
        yield client


@pytest.fixture
def writing(tmp_path):
    """A client of an application that may change its index, and the index's folder as ``client.folder``."""
    folder = make_photos(tmp_path / "photos")
    with client_of(folder, writable=True) as client:
        client.folder = folder
        yield client
