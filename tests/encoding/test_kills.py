"""An encoding that is killed at random moments: the index under the name is the old one or the new one, and complete.

A server process imports everything once and forks a child for each encoding, so that hundreds of kills are affordable.
``VTSEARCH_THOROUGH=1 pytest tests/encoding/test_kills.py -m "" -s`` prints the counts of 300 kills in each test.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from PIL import Image
from thorough import amount

from vtsearch.data.skipped import skipped_images
from vtsearch.encoding import Encoder
from vtsearch.index import Index
from vtsearch.models import save_model

KILLS = amount(30, 300)

SERVER = """
import hashlib, os, signal, sys, time
import numpy as np
from pathlib import Path
from vtsearch.data.loading.tolerant_dataset import Fault
from vtsearch.data.sources.file_facts import file_facts
from vtsearch.data.selection import select_images
from vtsearch.encoding.chunked_encoding import SavePolicy
from vtsearch.encoding.batches import EncodedBatch
from vtsearch.encoding.shard import encode_shard

class Hashes:  # stands for an encoder: computing takes no time, so that kills meet the writing
    bits = 64

    def __init__(self, name):
        self.fingerprints = {"model": name, "preprocessing": "none", "arithmetic": "fp32"}

    def fingerprints_of(self, source):
        return self.fingerprints

    def batches(self, source, positions):
        for start in range(0, len(positions), 8):
            part = positions[start : start + 8]
            raw = [self.fingerprints["model"].encode() + source.path(int(at)).read_bytes() for at in part]
            codes = np.stack([np.frombuffer(hashlib.sha256(each).digest()[:8], np.uint8) for each in raw])
            faults = [Fault(start + row, "damaged") for row, each in enumerate(raw) if each.endswith(b"hello")]
            facts = [file_facts(source, int(at)) for at in part]
            yield EncodedBatch(np.arange(start, start + len(part)), codes, faults, facts)

print("ready", flush=True)
for line in sys.stdin:
    model, overwrite, kill_after = line.split()
    child = os.fork()
    if child == 0:
        try:
            images = select_images([sys.argv[1]])
            save = SavePolicy(images=8)
            encode_shard(Hashes(model), images, Path(sys.argv[2]), overwrite=overwrite == "True", save=save)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    if kill_after != "None":
        time.sleep(float(kill_after))
        os.kill(child, signal.SIGKILL)  # without effect on a child that has ended: it is waited for below
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Server:
    """Encodings in children of one process."""

    def __init__(self, images, output):
        words = [sys.executable, "-c", SERVER, images, output]
        self._process = subprocess.Popen(
            list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._read() == "ready"
        self.longest = 0.0
        """Seconds of the last whole encoding that was not killed, and a third more: the latest moment of a kill."""

    def encode(self, model, *, overwrite, kill_after=None):
        """The exit code of an encoding; -9 if it was killed, 3 if it has raised."""
        began = time.monotonic()
        self._process.stdin.write(f"{model} {overwrite} {kill_after}\n")
        code = int(self._read())
        if kill_after is None and code == 0:
            self.longest = 1.33 * (time.monotonic() - began)
        return code

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self):
        return self._process.stdout.readline().strip()


@pytest.fixture
def server(photos, tmp_path):
    running = Server(photos, tmp_path / "index")
    yield running
    running.close()


@pytest.fixture
def models(tiny_model, tmp_path):
    """Two models whose codes differ."""
    folders = [tmp_path / "one", tmp_path / "other"]
    for number, folder in enumerate(folders):
        for parameter in tiny_model.parameters():
            parameter.data.mul_(1 + 0.5 * number)
        save_model(tiny_model, folder)
    return folders


def content(folder):
    with Index.open(folder) as index:
        index.verify()
        return index.fingerprints["model"], index.codes().tobytes(), tuple(index.ids()), tuple(skipped_images(index))


@pytest.mark.slow
def test_no_kill_loses_an_index_or_leaves_half_of_one(server, photos, tmp_path):
    (photos / "20.png").write_text("hello")
    output, expected, outcomes, models = tmp_path / "index", {}, Counter(), ("one", "other")
    for model in models:
        assert server.encode(model, overwrite=True) == 0
        expected[model] = content(output)
    assert expected["one"] != expected["other"]

    draw = random.Random(0)
    while outcomes["killed: old"] + outcomes["killed: new"] < KILLS:
        model = models[content(output)[0] == "one"]
        # as long as an encoding is killed, mostly the same one is started again: it continues
        for _ in range(20):
            before = content(output)[0]
            code = server.encode(model, overwrite=True, kill_after=draw.random() * server.longest)
            found = content(output)
            assert code in (0, -signal.SIGKILL)
            assert found == expected[found[0]]
            assert found[0] in (before, model)
            assert code != 0 or found[0] == model
            outcomes["completed" if code == 0 else "killed: new" if found[0] == model else "killed: old"] += 1
            if code == 0 or draw.random() < 0.2:
                break
    assert server.encode("one", overwrite=True) == 0
    assert content(output) == expected["one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "photos"]
    print(f"{dict(outcomes)}; 0 lost, 0 half, 0 left over")  # noqa: T201


@pytest.mark.slow
def test_killed_encodings_of_a_new_index_continue(server, tmp_path):
    output, draw = tmp_path / "index", random.Random(1)
    assert server.encode("one", overwrite=False) == 0
    expected, outcomes = content(output), Counter()
    while outcomes["killed"] < KILLS:
        output.rename(tmp_path / f"done {outcomes.total()}")
        while not output.exists():
            code = server.encode("one", overwrite=False, kill_after=draw.random() * server.longest)
            assert code in (0, -signal.SIGKILL)
            outcomes["completed" if code == 0 else "killed"] += 1
        assert content(output) == expected
        assert server.encode("one", overwrite=False) == 3  # it exists
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    print(f"{dict(outcomes)}; 0 lost, 0 half, 0 left over")  # noqa: T201


@pytest.mark.slow
def test_two_encodings_of_one_output_do_not_run_together(models, photos, tmp_path):
    for number in range(50, 400):
        Image.new("RGB", (24, 24), (number % 256, 3, 7)).save(photos / f"{number}.png")
    words = [sys.executable, "-m", "vtsearch", "encode", photos, "--output", tmp_path / "index", "--save-images", "8"]
    both = [
        subprocess.Popen(
            list(map(str, [*words, "--batch-size", "8", "--model", model])), stderr=subprocess.PIPE, text=True
        )
        for model in models
    ]
    said = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2], said
    winner, loser = codes.index(0), codes.index(2)
    assert f"another process (pid {both[winner].pid} on" in said[loser] or "exists" in said[loser]
    assert content(tmp_path / "index")[0] == Encoder(models[winner]).fingerprints["model"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "one", "other", "photos"]


@pytest.mark.slow
def test_ctrl_c_saves_the_codes_and_says_that_the_same_command_continues(models, photos, tmp_path):
    words = [sys.executable, "-m", "vtsearch", "encode", photos, "--output", tmp_path / "index", "--batch-size", "8"]
    words = list(map(str, [*words, "--save-images", "8", "--model", models[0]]))
    for number in range(50, 1000):
        Image.new("RGB", (24, 24), (number % 256, 3, 7)).save(photos / f"{number}.png")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    chunks = tmp_path / ".index.encode/chunks"
    while process.poll() is None and not (chunks.is_dir() and any(chunks.glob("0*.npz"))):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].splitlines()
    assert process.returncode == 130
    assert said[0].endswith("of 1,000 images are encoded; the same command continues")
    assert said[1] == "vtsearch encode: interrupted"
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=True)
    assert "vtsearch encode: continuing: " in done.stderr
    assert len(content(tmp_path / "index")[2]) == 1000
