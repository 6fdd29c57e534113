"""Images behind URLs: encoded once, skipped with a reason, kept by an update, and found again."""

from __future__ import annotations

import contextlib
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from container_files import encoded
from local_server import served

from vtsearch.cli import main
from vtsearch.data.locate import ImageLocator
from vtsearch.data.selection import select_images
from vtsearch.data.skipped import skipped_images
from vtsearch.data.sources.fetch import FetchLimits
from vtsearch.data.sources.url_images import UrlImages
from vtsearch.encoding import Encoder
from vtsearch.encoding.chunked_encoding import SavePolicy
from vtsearch.encoding.shard import encode_shard
from vtsearch.encoding.update import IndexUpdate, update_index
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.models import save_model


class Pictures(BaseHTTPRequestHandler):
    """``/7.png`` is picture 7, ``/page`` a page, and all else is not found."""

    def do_GET(self):
        self.server.paths.append(self.path)
        name = self.path.strip("/").removesuffix(".png")
        content = b"<html>a page</html>" if name == "page" else encoded(int(name)) if name.isdigit() else None
        self.send_response(404 if content is None else 200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with served(Pictures, paths=[]) as running:
        yield running


@pytest.fixture
def encoder(tiny_model):
    return Encoder(tiny_model, batch_size=8)


def test_a_list_is_fetched_once_and_gives_the_codes_of_the_files(encoder, server, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{server.url}/{number}.png\n\n" for number in range(5)))
    images = select_images([str(tmp_path / "list.txt")])
    assert not images.labelled
    assert dict(images.description) == {"list": str(tmp_path / "list.txt"), "urls": "listed"}
    encode_shard(encoder, images, tmp_path / "index")
    assert server.paths == [f"/{number}.png" for number in range(5)]
    index = Index.open(tmp_path / "index")
    assert index.ids() == [f"{server.url}/{number}.png" for number in range(5)]
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(encoded(number))
    assert np.array_equal(index.codes(), encoder.encode([tmp_path / f"{number}.png" for number in range(5)]))
    metadata = index.metadata()
    assert metadata["bytes"] == [len(encoded(number)) for number in range(5)]
    assert not metadata.keys() & {"modified", "place"}
    assert None not in metadata["content"]


@pytest.mark.parametrize("name", ["list.txt", "table.csv"])
def test_lists_and_tables_with_labels(encoder, server, tmp_path, name):
    rows = [f"{server.url}/{number}.png {number % 2}" for number in range(3)]
    text = "path,label\n" + "\n".join(rows).replace(" ", ",") if name == "table.csv" else "\n".join(rows)
    (tmp_path / name).write_text(text)
    encode_shard(encoder, select_images([str(tmp_path / name)]), tmp_path / "index")
    assert Index.open(tmp_path / "index").labels().tolist() == [0, 1, 0]


def test_urls_that_a_path_would_join_are_two(server, tmp_path):
    (tmp_path / "list.txt").write_text(f"{server.url}/a/1.png 0\n{server.url}/a//1.png 1\n")
    assert len(select_images([str(tmp_path / "list.txt")]).positions) == 2


def test_paths_and_urls_are_not_mixed(tmp_path):
    (tmp_path / "1.png").write_bytes(encoded(1))
    (tmp_path / "list.txt").write_text("1.png 0\nhttp://a/1.png 1\n")
    with pytest.raises(ValueError, match=r"list\.txt: expected URLs or paths, got both, such as '1\.png': encode them"):
        select_images([str(tmp_path / "list.txt")])
    with pytest.raises(ValueError, match="images: expected URLs or paths, got both"):
        select_images(["http://a/1.png", str(tmp_path / "1.png")])


def test_what_cannot_be_fetched_or_is_no_image_is_skipped_and_tried_again(encoder, server, tmp_path):
    names = [f"{server.url}/{name}" for name in ("0.png", "none", "page", "3.png")]
    encode_shard(encoder, select_images(names), tmp_path / "index")
    missing, page = skipped_images(Index.open(tmp_path / "index"))
    assert missing == (names[1], f"cannot fetch {names[1]}: answered 404 Not Found")
    assert page == (
        names[2],
        f"images: cannot read image {names[2]}: not an image of a kind that Pillow opens, or damaged at its beginning",
    )
    server.paths.clear()
    assert update_index(encoder, select_images(names), tmp_path / "index") == IndexUpdate(0, 0, 0, 0, 2, 2)
    assert server.paths == ["/none", "/page"]


def test_an_update_fetches_new_urls_and_removes_those_that_a_list_has_no_more(encoder, server, tmp_path):
    def write(numbers, label="0"):
        (tmp_path / "list.txt").write_text("".join(f"{server.url}/{number}.png {label}\n" for number in numbers))
        server.paths.clear()
        return select_images([str(tmp_path / "list.txt")])

    encode_shard(encoder, write(range(5)), tmp_path / "index")
    assert update_index(encoder, write([1, 2, 3, 4, 7, 8]), tmp_path / "index") == IndexUpdate(2, 0, 0, 1, 4, 0)
    assert server.paths == ["/7.png", "/8.png"]
    before = Index.open(tmp_path / "index").metadata()["content"]
    assert update_index(encoder, write([1, 2, 3, 4, 7, 8], "1"), tmp_path / "index") == IndexUpdate(0, 6, 0, 0, 0, 0)
    assert server.paths == []
    index = Index.open(tmp_path / "index")
    assert index.labels().tolist() == [1] * 6
    assert sorted(index.metadata()["content"]) == sorted(before)


def test_urls_that_are_not_given_again_stay(encoder, server, tmp_path):
    encode_shard(encoder, select_images([f"{server.url}/1.png"]), tmp_path / "index")
    done = update_index(encoder, select_images([f"{server.url}/2.png"]), tmp_path / "index")
    assert done == IndexUpdate(1, 0, 0, 0, 0, 0)
    assert len(Index.open(tmp_path / "index")) == 2


def test_an_interrupted_encoding_does_not_fetch_again(encoder, server, tmp_path):
    names = [f"{server.url}/{number}.png" for number in range(20)]

    class Stop:
        def start(self, done, total):
            self.done = done

        def advance(self, images, seconds):
            raise KeyboardInterrupt

        def note(self, text):
            pass

    with contextlib.suppress(KeyboardInterrupt):
        encode_shard(encoder, select_images(names), tmp_path / "index", save=SavePolicy(1), progress=Stop())
    server.paths.clear()
    encode_shard(encoder, select_images(names), tmp_path / "index")
    assert server.paths == [f"/{number}.png" for number in range(8, 20)]


def test_credentials_are_not_in_the_index(encoder, server, tmp_path):
    encode_shard(encoder, select_images([server.url.replace("://", "://me:secret@") + "/1.png"]), tmp_path / "index")
    assert Index.open(tmp_path / "index").ids() == [f"{server.url}/1.png"]
    assert not [path for path in (tmp_path / "index").rglob("*") if path.is_file() and b"secret" in path.read_bytes()]


def test_images_are_found_again(encoder, server, tmp_path):
    encode_shard(encoder, select_images([f"{server.url}/1.png"]), tmp_path / "index")
    locator = ImageLocator.of(Index.open(tmp_path / "index"))
    assert locator.root is None
    assert locator.load(0).size == (24, 20)
    with pytest.raises(VtsearchError, match=r"is a URL and has no file"):
        locator.path(0)


def test_one_fetch_serves_facts_and_pixels_also_if_it_fails(server):
    source = UrlImages([f"{server.url}/none", f"{server.url}/1.png"], limits=FetchLimits(tries=1))
    for _ in range(2):
        with pytest.raises(VtsearchError, match="answered 404"):
            source.read(0)
    assert source.read(1) == source.read(1) == encoded(1)
    assert server.paths == ["/none", "/1.png"]


def test_the_command(tiny_model, server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_model(tiny_model, tmp_path / "model")
    argv = ["encode", f"{server.url}/1.png", f"{server.url}/2.png", "--model", "model", "--output", "index"]
    assert main(argv) == 0
    assert main(argv) == 0
    assert "2 unchanged" in capsys.readouterr().out
    assert main(["search", f"{server.url}/1.png", "--index", "index", "--picture", "answers.png"]) == 0
    assert "cannot be read" not in capsys.readouterr().err
    assert main(["encode", f"{server.url}/none", "--model", "model", "--output", "new"]) == 2
    assert f"cannot fetch {server.url}/none: answered 404 Not Found" in capsys.readouterr().err
