"""Photographs of 100 classes of ImageNet on a cluster of several nodes, with kills: everything is that of one process.

``VTSEARCH_THOROUGH=1 pytest -m "" -s tests/scale/test_imagenet.py`` takes all 25,000.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from index_files import files_of
from thorough import amount

from vtsearch.cli import main
from vtsearch.encoding.share import share_of
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model

DATA = Path(os.environ.get("VTSEARCH_DATA", ""))
WEIGHTS = DATA / "backbones" / "vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors"
OF_A_CLASS = amount(6, 250)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not WEIGHTS.is_file(), reason="needs real data: set VTSEARCH_DATA"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),  # of Ray, about itself
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with a subfolder for each class."""
    folder = tmp_path_factory.mktemp("imagenet")
    for name in sorted(path.name for path in (DATA / "imagenet" / "train").iterdir()):
        files = [path for part in ("train", "val") for path in sorted((DATA / "imagenet" / part / name).iterdir())]
        (folder / name).mkdir()
        for file in files[:OF_A_CLASS]:
            shutil.copyfile(file, folder / name / f"{file.parent.parent.name}_{file.name}")
    return folder


@pytest.fixture(scope="module")
def command(photos, tmp_path_factory):
    """Encodes the photographs; without the output."""
    folder = tmp_path_factory.mktemp("model") / "model"
    config = ModelConfig(backbone="vit_tiny_patch16_224", image_size=64, bits=64, weights=str(WEIGHTS))
    save_model(build_model(config), folder)
    return ["encode", str(photos), "--model", str(folder), "--batch-size", "32", "--save-images", "32"]


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """The index that one process makes."""
    folder = tmp_path_factory.mktemp("whole") / "index"
    assert main([*command, "--output", str(folder)]) == 0
    return folder


def start(*arguments, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, *arguments], env=environment, **quiet)


def await_codes(folder, files):
    """Wait until an encoding has saved codes in so many files."""
    chunks, deadline = folder.parent / f".{folder.name}.encode" / "chunks", time.monotonic() + 300
    while not (chunks.exists() and len(list(chunks.glob("*.npz"))) >= files):
        assert time.monotonic() < deadline, "no codes were saved"
        time.sleep(0.02)


def test_a_cluster_encodes_while_a_process_a_node_and_the_driver_are_killed(ray_cluster, command, whole, tmp_path):
    output = tmp_path / "index"
    arguments = ["-m", "vtsearch", *command, "--output", str(output), "--ray", ray_cluster.address]
    arguments += ["--decoders", "1", "--models", "1"]
    extra = ray_cluster.add_node()
    driver = start(*arguments)
    await_codes(output, 2)
    ray_cluster.processes("MapBatches(ModelRun)")[0].kill()
    await_codes(output, 4)
    ray_cluster.kill_node(extra)
    await_codes(output, 6)
    driver.kill()
    driver.wait()
    assert not output.exists()
    assert start(*arguments).wait() == 0
    assert files_of(output) == files_of(whole)


def test_processes_of_torchrun_encode(command, whole, tmp_path):
    program = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vtsearch", *command]
    assert start(*program, "--output", str(tmp_path / "index")).wait() == 0
    assert files_of(tmp_path / "index") == files_of(whole)


def test_array_jobs_encode_of_which_one_is_killed(command, whole, tmp_path):
    arguments = ["-m", "vtsearch", *command, "--output", str(tmp_path / "index"), "--worker"]
    with Index.open(whole) as index:
        share = share_of((1, 2), len(index), 32)
    killed = start(*arguments, "1/2")
    await_codes(tmp_path / "index", 2)
    killed.kill()
    killed.wait()
    assert start(*arguments, "0/2").wait() == 0
    assert not (tmp_path / "index").exists()
    assert start(*arguments, "1/2").wait() == 0
    assert len(share) > 64
    assert files_of(tmp_path / "index") == files_of(whole)


def test_shards_answer_as_one_index_while_an_actor_is_killed(ray_cluster, whole):
    from vtsearch.scale import ShardedIndex

    with Index.open(whole) as index:
        queries, labels = index.codes()[::37].copy(), index.labels()[::37]
        expected = index.search(queries, 20), index.evaluate(queries, labels, 100), index.deduplicate(6)
        near = index.within(queries, 12)
    with ShardedIndex.open(whole, 4, ray=ray_cluster.address, cpus=0.2) as sharded:
        ray_cluster.processes("ray::Shard")[0].kill()
        found = sharded.search(queries, 20), sharded.evaluate(queries, labels, 100), sharded.deduplicate(6)
        again = sharded.within(queries, 12)
    assert np.array_equal(found[0].distances, expected[0].distances)
    assert np.array_equal(found[0].indices, expected[0].indices)
    assert found[0].ids == expected[0].ids
    assert all(np.array_equal(one, other) for one, other in zip(again, near, strict=True))
    assert found[1].average_precisions == pytest.approx(expected[1].average_precisions, rel=1e-12)
    assert np.array_equal(found[2].representatives, expected[2].representatives)
