"""An index that several workers encode: that of one process, however many there are, and whichever was killed."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from index_files import files_of
from PIL import Image

from vtsearch._atomic_io import writer_lock
from vtsearch.cli import main
from vtsearch.data.selection import select_images
from vtsearch.encoding import Encoder, encode_shard, encode_share
from vtsearch.encoding.chunked_encoding import NoProgress, SavePolicy
from vtsearch.encoding.share import share_of
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.models import save_model


class Stop(NoProgress):
    """Interrupts after a batch."""

    def advance(self, images, seconds):
        raise KeyboardInterrupt


@pytest.fixture
def encoder(tiny_model):
    return Encoder(tiny_model, batch_size=8)


@pytest.fixture
def whole(encoder, photos, tmp_path):
    """What one process makes of the photos, two of which cannot be read."""
    (photos / "07.png").write_bytes(b"no picture")
    (photos / "31.png").write_bytes(b"")
    encode_shard(encoder, select_images([str(photos)]), tmp_path / "whole")
    return files_of(tmp_path / "whole")


@pytest.mark.parametrize(("rows", "count", "step"), [(50, 3, 8), (50, 1, 8), (5, 4, 8), (0, 2, 8), (64, 8, 8)])
def test_shares_are_all_rows_once_and_about_equal(rows, count, step):
    shares = [share_of((number, count), rows, step) for number in range(count)]
    assert list(itertools.chain.from_iterable(shares)) == list(range(rows))
    assert all(share.start % step == 0 or not share for share in shares)
    assert max(map(len, shares)) - min(map(len, shares)) <= step + rows % step


@pytest.mark.parametrize("worker", [(2, 2), (-1, 2), (0, 0)])
def test_a_share_of_no_worker(worker):
    with pytest.raises(ValueError, match=r"worker: expected I from 0 to N - 1"):
        share_of(worker, 50, 8)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_index_of_several_workers_is_that_of_one(encoder, photos, tmp_path, whole, count):
    images = select_images([str(photos)])
    found = [encode_share(encoder, images, tmp_path / "index", (number, count)) for number in range(count)]
    assert [share.index for share in found[:-1]] == [None] * (count - 1)
    assert found[-1].index == (48, 2)
    assert sum(share.images for share in found) == 50
    assert sum(share.skipped for share in found) == 2
    assert files_of(tmp_path / "index") == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "photos", "whole"]


def test_what_is_missing_is_counted(encoder, photos, tmp_path):
    images = select_images([str(photos)])
    found = encode_share(encoder, images, tmp_path / "index", (1, 3))
    assert (found.images, found.missing, found.index) == (16, 34, None)
    assert encode_share(encoder, images, tmp_path / "index", (0, 3)).missing == 18
    assert not (tmp_path / "index").exists()


def test_a_worker_that_was_stopped_runs_again(encoder, photos, tmp_path, whole):
    images = select_images([str(photos)])
    with pytest.raises(KeyboardInterrupt):
        encode_share(encoder, images, tmp_path / "index", (0, 2), progress=Stop(), save=SavePolicy(1))
    assert encode_share(encoder, images, tmp_path / "index", (1, 2)).missing == 16
    assert encode_share(encoder, images, tmp_path / "index", (0, 2)).index == (48, 2)
    assert files_of(tmp_path / "index") == whole


@pytest.mark.parametrize("counts", [(2, 3), (3, 2), (5, 1)])
def test_other_numbers_of_workers_continue(encoder, photos, tmp_path, whole, counts):
    images, encoded = select_images([str(photos)]), []
    before, after = counts
    encode_share(encoder, images, tmp_path / "index", (before - 1, before))

    class Count(NoProgress):
        def advance(self, images, seconds):
            encoded.append(images)

    for number in range(after):
        encode_share(encoder, images, tmp_path / "index", (number, after), progress=Count())
    assert files_of(tmp_path / "index") == whole
    assert sum(encoded) == 50 - len(share_of((before - 1, before), 50, 8))


def test_one_process_finishes_what_workers_have_begun(encoder, photos, tmp_path, whole):
    images = select_images([str(photos)])
    encode_share(encoder, images, tmp_path / "index", (1, 3))
    encode_shard(encoder, images, tmp_path / "index")
    assert files_of(tmp_path / "index") == whole


def test_an_image_that_changed_meanwhile_is_encoded_again(encoder, photos, tmp_path):
    images = select_images([str(photos)])
    encode_share(encoder, images, tmp_path / "index", (0, 2))
    Image.new("RGB", (30, 30), (200, 10, 10)).save(photos / "03.png")
    assert encode_share(encoder, images, tmp_path / "index", (1, 2)).index == (50, 0)
    encode_shard(encoder, images, tmp_path / "whole")
    assert files_of(tmp_path / "index") == files_of(tmp_path / "whole")


def test_a_finished_index_is_left_as_it_is(encoder, tiny_model, photos, tmp_path, whole):
    images = select_images([str(photos)])
    found = encode_share(encoder, images, tmp_path / "whole", (0, 2))
    assert (found.missing, found.index) == (0, None)
    assert files_of(tmp_path / "whole") == whole
    with pytest.raises(ValueError, match="of other images"):
        encode_share(encoder, select_images([str(photos / "00.png")]), tmp_path / "whole", (0, 2))
    with pytest.raises(VtsearchError, match="arithmetic"):
        encode_share(Encoder(tiny_model, precision=other(encoder)), images, tmp_path / "whole", (0, 2))


def test_overwrite_replaces_an_index_when_the_last_worker_is_done(encoder, photos, tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "one.png")
    encode_shard(encoder, select_images([str(tmp_path / "one.png")]), tmp_path / "index")
    images = select_images([str(photos)])
    encode_share(encoder, images, tmp_path / "index", (0, 2), overwrite=True)
    with Index.open(tmp_path / "index") as index:
        assert len(index) == 1
    assert encode_share(encoder, images, tmp_path / "index", (1, 2), overwrite=True).index == (50, 0)
    with Index.open(tmp_path / "index") as index:
        assert len(index) == 50


def test_codes_of_another_model_are_refused_and_kept(encoder, tiny_model, photos, tmp_path):
    images = select_images([str(photos)])
    encode_share(encoder, images, tmp_path / "index", (0, 2))
    with pytest.raises(VtsearchError, match=r"output: .*\.index\.encode has codes of another arithmetic"):
        encode_share(Encoder(tiny_model, precision=other(encoder)), images, tmp_path / "index", (1, 2))
    assert encode_share(encoder, images, tmp_path / "index", (1, 2)).index == (50, 0)


def test_a_single_writer_and_workers_exclude_each_other(encoder, photos, tmp_path):
    images = select_images([str(photos)])
    with writer_lock(tmp_path / "index"), pytest.raises(BlockingIOError, match="this process"):
        encode_share(encoder, images, tmp_path / "index", (0, 2))
    with writer_lock(tmp_path / "index", shared=True):
        with pytest.raises(BlockingIOError, match="this process"):
            encode_shard(encoder, images, tmp_path / "index")
        assert encode_share(encoder, images, tmp_path / "index", (0, 2)).missing is None  # others are at work
    assert encode_share(encoder, images, tmp_path / "index", (1, 2)).index == (50, 0)


def test_something_else_in_the_way_is_refused(encoder, photos, tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "letter.txt").write_text("dear all")
    with pytest.raises(FileExistsError, match="exists"):
        encode_share(encoder, select_images([str(photos)]), tmp_path / "index", (0, 2))


def test_workers_at_the_same_time(tiny_model, photos, tmp_path, whole):
    def run(number):
        encoder = Encoder(tiny_model, batch_size=8)
        return encode_share(encoder, select_images([str(photos)]), tmp_path / "index", (number, 4))

    tiny_model.eval()  # as all threads have the same
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, range(4)))
    assert sum(share.index is not None for share in found) == 1
    assert files_of(tmp_path / "index") == whole


def other(encoder):
    return "bf16" if encoder.arithmetic == "fp32" else "fp32"


# The command


def command(photos, tmp_path, *more, model="model"):
    return ["encode", str(photos), "--model", str(tmp_path / model), "--output", str(tmp_path / "index"), *more]


def test_the_command_of_each_worker_says_what_is_missing(tiny_model, photos, tmp_path, capsys, whole):
    save_model(tiny_model, tmp_path / "model")
    assert main(command(photos, tmp_path, "--batch-size", "8", "--worker", "0/2")) == 0
    said = capsys.readouterr()
    missing = "26 images of other workers are missing: run these workers"
    assert said.out == f"worker 0/2: its 24 images are encoded; {missing}\n"
    assert said.err.startswith("worker 0/2: ")
    failures = tmp_path / "failures.jsonl"
    last = command(photos, tmp_path, "--batch-size", "8", "--worker", "1/2", "--failures", str(failures))
    assert main(last) == 0
    said = capsys.readouterr()
    assert re.search(r"index: 48 codes of 12 bits, model \w{12}, ", said.out)
    assert "2 of 50 images could not be read" in said.err
    rows = [json.loads(line) for line in failures.read_text().splitlines()]
    assert [row["name"] for row in rows] == ["07.png", "31.png"]
    assert all(row["reason"] for row in rows)
    assert files_of(tmp_path / "index")[0] == whole[0]
    assert main(last) == 0
    assert capsys.readouterr().out.endswith("index is complete\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--worker", "2/2"], "worker: expected I/N with I from 0 to N - 1, such as 0/4, got '2/2'"),
        (["--worker", "one"], "worker: expected I/N with I from 0 to N - 1, such as 0/4, got 'one'"),
        (["--worker", "0/2", "--watch", "5"], "watch: expected no --watch for worker 0/2 of an encoding, got one"),
        (["--worker", "0/2", "--ray"], "ray: expected no --ray for worker 0/2 of an encoding, got one"),
        (["--worker", "0/2", "--keep-missing"], "keep_missing: expected no --keep-missing for worker 0/2"),
        (["--failures", "nowhere/at/all"], "failures: expected a file in a folder that exists, got 'nowhere/at/all'"),
        (["--models", "2"], "models: expected --ray beside it, got none"),
        (["--ray", "--decoders", "0"], "decoders: expected at least 1, got 0"),
    ],
)
def test_arguments_that_do_not_go_together(photos, tmp_path, capsys, arguments, message):
    assert main(command(photos, tmp_path, *arguments)) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def slow_model(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def many_photos(tmp_path):
    """Enough photographs for a second of work or two."""
    folder = tmp_path / "many"
    folder.mkdir()
    draw = np.random.default_rng(1)
    for number in range(1_500):
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number:04}.png")
    (folder / "0700.png").write_bytes(b"no picture")
    return folder


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_processes_of_torchrun_encode_together(slow_model, many_photos, tmp_path):
    options = [str(many_photos), "--model", str(slow_model), "--batch-size", "16"]
    together = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "vtsearch",
    ]
    ended = subprocess.run(
        [*together, "encode", *options, "--output", str(tmp_path / "index")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert main(["encode", *options, "--output", str(tmp_path / "whole")]) == 0
    assert files_of(tmp_path / "index") == files_of(tmp_path / "whole")
    assert "worker 0/2" in ended.stderr
    assert "worker 1/2" in ended.stderr


@pytest.mark.slow
def test_array_jobs_of_which_one_is_killed_and_run_again(slow_model, many_photos, tmp_path):
    options = [str(many_photos), "--model", str(slow_model), "--batch-size", "16", "--save-images", "16"]

    def start(worker):
        program = [sys.executable, "-m", "vtsearch", "encode", *options]
        program += ["--output", str(tmp_path / "index"), "--worker", worker]
        return subprocess.Popen(
            program, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    first, second = start("0/2"), start("1/2")
    share, chunks = share_of((1, 2), 1_500, 16), tmp_path / ".index.encode" / "chunks"
    deadline = time.monotonic() + 120
    while not (chunks / f"{share.start + 64:012d}.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    saved = {path.name: path.stat().st_ino for path in chunks.iterdir() if path.suffix == ".npz"}
    assert "images of other workers are missing" in first.communicate()[0]
    assert not (tmp_path / "index").exists()
    again = start("1/2")
    said, _ = again.communicate()
    assert again.returncode == 0
    assert "index: 1,499 codes of 12 bits" in said
    assert any(name >= f"{share.start:012d}" for name in saved)
    assert main(["encode", *options, "--output", str(tmp_path / "whole")]) == 0
    assert files_of(tmp_path / "index") == files_of(tmp_path / "whole")
