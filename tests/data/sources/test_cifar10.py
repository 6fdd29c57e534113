from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vtsearch.data import open_dataset
from vtsearch.data.sources import cifar10
from vtsearch.data.sources.cifar10 import CLASSES, open_cifar10
from vtsearch.errors import VtsearchError

REAL = os.environ.get("VTSEARCH_DATA", "")
needs_real = pytest.mark.skipif(not Path(REAL, "cifar10").is_dir(), reason="VTSEARCH_DATA has no cifar10")


def encoded(number, size=32):
    file = io.BytesIO()
    Image.new("RGB", (size, size), (number, 2 * number, 0)).save(file, "PNG")
    return file.getvalue()


def write(folder, images, labels, name):
    folder.mkdir(parents=True, exist_ok=True)
    items = [{"bytes": image, "path": None} for image in images]
    pq.write_table(pa.table({"img": items, "label": labels}), folder / name)


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "cifar10" / "plain_text"
    write(folder, [encoded(number) for number in range(6)], [3, 1, 4, 1, 5, 9], "train-00000-of-00001.parquet")
    write(folder, [encoded(100), b"broken", encoded(1, size=16)], [2, 6, 5], "test-00000-of-00001.parquet")
    return tmp_path


def test_training_images_come_first(small):
    source = open_cifar10(small)
    assert source.labels.tolist() == [3, 1, 4, 1, 5, 9, 2, 6, 5]
    assert source.labels.dtype == np.int64
    assert source.classes == CLASSES
    assert [source.id(0), source.id(6)] == ["train/00000", "test/00000"]


def test_pixels_are_those_of_the_images(small):
    source = open_cifar10(small)
    pixels = source.pixels(np.array([6, 2]))
    assert pixels.shape == (2, 3, 32, 32)
    assert pixels[:, :, 0, 0].tolist() == [[100, 200, 0], [2, 4, 0]]
    assert source.load(6).getpixel((5, 5)) == (100, 200, 0)


def test_the_folder_itself_will_do(small):
    assert len(open_cifar10(small / "cifar10" / "plain_text")) == 9


def test_the_environment_names_the_data(small, monkeypatch):
    monkeypatch.setenv("VTSEARCH_DATA", str(small))
    assert len(open_cifar10()) == 9


def test_a_damaged_image_is_named(small):
    with pytest.raises(VtsearchError, match="cifar10: cannot decode image test/00001"):
        open_cifar10(small).pixels(np.array([7]))


def test_an_image_of_another_size_is_named(small):
    with pytest.raises(VtsearchError, match=r"cifar10: expected 32 x 32 pixels, got \(16, 16, 3\) in test/00002"):
        open_cifar10(small).load(8)


def test_a_damaged_table_is_named(small):
    (small / "cifar10" / "plain_text" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(VtsearchError, match="plain_text: not CIFAR-10 in parquet files"):
        open_cifar10(small)


def test_a_folder_without_cifar10_names_both_layouts(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"plain_text/\*\.parquet or cifar-10-batches-py"):
        open_cifar10(tmp_path)


def test_damaged_batches_are_named(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(VtsearchError, match="cifar-10-batches-py: not torchvision's CIFAR-10, or damaged"):
        open_cifar10(tmp_path)


def test_of_several_that_need_it_one_downloads(tmp_path, monkeypatch):
    downloads = []

    def download(root, *, train, download):
        assert train
        assert download
        downloads.append(root)
        (Path(root) / cifar10.BATCHES).mkdir()
        time.sleep(0.1)

    monkeypatch.setattr(cifar10, "CACHE", tmp_path / "cache")
    monkeypatch.delenv("VTSEARCH_DATA", raising=False)
    monkeypatch.setattr(cifar10, "require_extra", lambda _: SimpleNamespace(CIFAR10=download))
    monkeypatch.setattr(cifar10, "_read_batches", lambda root: root)
    with ThreadPoolExecutor(3) as threads:
        opened = list(threads.map(lambda _: open_cifar10(), range(3)))
    assert opened == [tmp_path / "cache"] * 3
    assert len(downloads) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [cifar10.BATCHES]


@pytest.mark.slow
def test_without_a_copy_or_a_network_the_error_says_what_to_do(tmp_path):
    code = "from vtsearch.data.sources.cifar10 import open_cifar10; open_cifar10()"
    closed = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    environment = {**os.environ, **closed, "HOME": str(tmp_path), "VTSEARCH_DATA": ""}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = run.stderr.strip().splitlines()[-1]
    assert "VtsearchError: cifar10: no copy in $VTSEARCH_DATA or " in last
    assert "set VTSEARCH_DATA" in last


def test_too_few_images_for_the_protocol_name_class_and_counts(small):
    with pytest.raises(ValueError, match="cifar10@54000: class 'airplane' has 0 images, and 2 are needed"):
        open_dataset("cifar10@54000", small)


@needs_real
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("cifar10@54000", (1000, 5000, 54000)),
        ("cifar10@all", (1000, 5000, 59000)),
        ("cifar10@50000", (10000, 50000, 50000)),
    ],
)
def test_the_protocols_have_their_published_sizes(name, sizes):
    data = open_dataset(name, Path(REAL))
    assert (len(data.split.query), len(data.split.train), len(data.split.database)) == sizes
    assert len(set(np.bincount(data.source.labels[data.split.query]))) == 1
    assert len(set(np.bincount(data.source.labels[data.split.train]))) == 1


@needs_real
def test_the_real_images_are_what_they_are_called():
    source = open_cifar10(REAL)
    assert len(source) == 60000
    assert np.bincount(source.labels).tolist() == [6000] * 10
    assert source.pixels(np.array([0, 59999])).std() > 10
