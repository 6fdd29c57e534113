"""Images encoded on a Ray cluster of several nodes: the index of one process, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from index_files import files_of
from PIL import Image

from vtsearch.data.selection import select_images, select_source
from vtsearch.encoding import Encoder, encode_shard
from vtsearch.encoding.chunked_encoding import NoProgress
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")]  # of Ray, about itself

IMAGES = 300


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model(ModelConfig(backbone="test_vit", bits=12, image_size=32, pretrained=False))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(IMAGES):
        pixels = draw.integers(0, 255, (20 + number % 7, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    (folder / "101.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def whole(model, photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "index"
    encode_shard(Encoder(model, batch_size=16), select_images([str(photos)]), folder)
    return files_of(folder)


@pytest.fixture
def cluster(ray_cluster):
    from vtsearch.scale.connection import connect

    connect(ray_cluster.address)
    return ray_cluster


class At(NoProgress):
    """Does something once, after some batches."""

    def __init__(self, batches, act):
        self._left, self._act = batches, act

    def advance(self, images, seconds):
        self._left -= 1
        if self._left == 0:
            self._act()


def slowed(photos):
    """The photos, each of which takes a while to read."""
    from vtsearch.data.selection import ImageFiles

    class Slow(ImageFiles):  # here, so that it is sent to the nodes by value
        def load_reduced(self, position, least_side):
            import time

            time.sleep(0.02)
            return super().load_reduced(position, least_side)

    return Slow(photos, sorted(path.name for path in photos.iterdir()))


def test_the_command_makes_the_index_of_one_process(ray_cluster, model, photos, whole, tmp_path):
    save_model(model, tmp_path / "model")
    command = [sys.executable, "-m", "vtsearch", "encode", str(photos), "--model", str(tmp_path / "model")]
    command += ["--output", str(tmp_path / "index"), "--batch-size", "16", "--ray", ray_cluster.address]
    command += ["--failures", str(tmp_path / "failures.jsonl"), "--decoders", "1", "--models", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = files_of(tmp_path / "index")
    described = {name: text for name, text in found[2].items() if name not in ("model", "backbone")}
    assert (found[0], found[1], described, found[3]) == whole
    assert "index: 299 codes of 12 bits, model " in ended.stdout
    assert "images/s; decoding " in ended.stderr
    ours = [line for line in ended.stderr.splitlines() if "core_worker.cc" not in line]  # Ray's remark on each pool
    assert all(" images" in line for line in ours), ended.stderr
    (row,) = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert row["name"] == "101.png"


def test_all_processes_of_a_stage_work(cluster, model, photos):
    from vtsearch.scale.encoding import RayEncoder

    seen = {"ImageReading": set(), "ModelRun": set()}
    encoder, images = RayEncoder(model, batch_size=16, decoders=1, models=2), select_images([str(photos)])
    for batch in encoder.batches(slowed(photos), images.positions):
        for name, found in seen.items():
            found |= {process.pid for process in cluster.processes(f"MapBatches({name})")}
        assert min(batch.seconds) >= 0
    assert {name: len(found) for name, found in seen.items()} == {"ImageReading": 1, "ModelRun": 2}


def test_an_image_that_ends_its_process_is_left_out(cluster, model, photos, tmp_path):
    from vtsearch.data.selection import ImageFiles
    from vtsearch.scale.apart import ENDED
    from vtsearch.scale.encoding import RayEncoder

    class Deadly(ImageFiles):
        def load_reduced(self, position, least_side):
            if self.id(position) == "037.png":
                import os
                import signal

                os.kill(os.getpid(), signal.SIGKILL)
            return super().load_reduced(position, least_side)

    names = [f"{number:03}.png" for number in (*range(30, 40), 101)]
    encoder = RayEncoder(model, batch_size=8, decoders=1, models=1)
    assert encode_shard(encoder, select_source(Deadly(photos, names), name="deadly"), tmp_path / "index") == (9, 2)
    with Index.open(tmp_path / "index") as index:
        skipped = dict(json.loads(index.description["skipped"]))
        assert skipped["037.png"] == ENDED
        assert sorted(skipped) == ["037.png", "101.png"]
        expected = Encoder(model, batch_size=8).encode([photos / name for name in index.ids()])
        assert np.array_equal(index.codes(), expected)


@pytest.mark.parametrize("stage", ["ImageReading", "ModelRun"])
def test_a_process_that_is_killed_costs_time_alone(cluster, model, photos, whole, tmp_path, stage):  # noqa: PLR0917 (fixtures)
    from vtsearch.scale.encoding import RayEncoder

    def kill():
        (killed, *_) = cluster.processes(f"MapBatches({stage})")
        killed.kill()

    images = select_source(slowed(photos), name="photos")
    encoder = RayEncoder(model, batch_size=16, decoders=1, models=1)
    encode_shard(encoder, images, tmp_path / "index", progress=At(3, kill))
    assert files_of(tmp_path / "index")[0] == whole[0]


def test_a_node_that_is_killed_costs_time_alone(cluster, model, photos, whole, tmp_path):
    from vtsearch.scale.encoding import RayEncoder

    extra = cluster.add_node()
    images = select_source(slowed(photos), name="photos")
    encoder = RayEncoder(model, batch_size=16, decoders=2, models=1)
    encode_shard(encoder, images, tmp_path / "index", progress=At(3, lambda: cluster.kill_node(extra)))
    assert files_of(tmp_path / "index")[0] == whole[0]


def test_a_driver_that_is_killed_is_run_again(ray_cluster, model, photos, whole, tmp_path):
    save_model(model, tmp_path / "model")
    command = [sys.executable, "-m", "vtsearch", "encode", str(photos), "--model", str(tmp_path / "model")]
    command += ["--output", str(tmp_path / "index"), "--batch-size", "16", "--save-images", "16"]
    command += ["--ray", "--decoders", "1", "--models", "1"]
    driver = subprocess.Popen(
        command, env=ray_cluster.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    chunks, deadline = tmp_path / ".index.encode" / "chunks", time.monotonic() + 200
    while not (chunks.exists() and any(chunks.glob("*.npz"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert not (tmp_path / "index").exists()
    ended = subprocess.run(command, env=ray_cluster.environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "continuing: " in ended.stderr
    assert files_of(tmp_path / "index")[0] == whole[0]


def test_a_node_without_the_images_is_an_error(cluster, model, photos, tmp_path):
    from vtsearch.data.selection import ImageFiles
    from vtsearch.scale.encoding import RayEncoder

    class Elsewhere(ImageFiles):
        def load_reduced(self, position, least_side):
            raise FileNotFoundError(2, "no such file", self.id(position))

    images = select_source(Elsewhere(photos, sorted(path.name for path in photos.iterdir())), name="elsewhere")
    encoder = RayEncoder(model, batch_size=16, decoders=1, models=1, root=tmp_path / "not here")
    with pytest.raises(FileNotFoundError, match="not seen on node"):
        encode_shard(encoder, images, tmp_path / "index")


def test_arguments(cluster, model, tmp_path):
    from vtsearch.scale.encoding import RayEncoder

    assert RayEncoder(model, decoders=2, models=1).remarks == ()
    (remark,) = RayEncoder(model, decoders=20, models=30).remarks
    assert remark.endswith(" of 50 processes: others wait until it has more")
    for name in ("batch_size", "decoders", "models"):
        with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
            RayEncoder(model, **{name: 0})
    with pytest.raises(FileNotFoundError):
        RayEncoder(tmp_path / "no model")
