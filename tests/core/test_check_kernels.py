"""Build the C++ checks of the engine and run them: on this machine, and for arm64 in an emulator."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from thorough import amount

from vtsearch import _native

ROOT = Path(__file__).parents[2]
CMAKE = shutil.which("cmake", path=sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"])
EMULATOR = "qemu-aarch64"
FOR_ARM64 = (EMULATOR, "aarch64-linux-gnu-g++")
EVERY = amount(5, 1)
"""One problem in so many is taken: of each width other lengths, as their number is no multiple of it."""

pytestmark = pytest.mark.skipif(CMAKE is None, reason="needs cmake")


def build(preset):
    """Build check_kernels incrementally with a preset of CMakePresets.json and return its path."""
    for step in (["--preset"], ["--build", "--parallel", "2", "--target", "check_kernels", "--preset"]):
        result = subprocess.run([CMAKE, *step, preset], cwd=ROOT, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
    return ROOT / "build" / preset / "tests" / "core" / "check_kernels"


def start(*command, **environment):
    environment = {**os.environ, "VTSEARCH_EVERY": str(EVERY), **environment}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def cases(process):
    """Return the number of operations compared for each instruction set."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return {isa: int(count) for isa, count in re.findall(r"^(\w+): (\d+) cases$", output, re.MULTILINE)}


@pytest.mark.slow
def test_every_instruction_set_agrees_with_the_oracle_around_the_edges_of_blocks(monkeypatch):
    monkeypatch.delenv("VTSEARCH_ISA", raising=False)
    with start(build("core"), "blocks") as process:
        counts = cases(process)
    assert list(counts) == _native.isas()
    assert min(counts.values()) > 20_000 // EVERY


@pytest.mark.slow
def test_every_instruction_set_agrees_with_the_oracle_at_every_width_and_length(monkeypatch):
    monkeypatch.delenv("VTSEARCH_ISA", raising=False)
    with start(build("core"), "lengths") as process:
        counts = cases(process)
    assert list(counts) == _native.isas()
    assert min(counts.values()) > 600_000 // EVERY


@pytest.mark.slow
def test_every_instruction_set_agrees_with_the_oracle_with_threads(monkeypatch):
    monkeypatch.delenv("VTSEARCH_ISA", raising=False)
    with start(build("core"), "threads", VTSEARCH_EVERY="1") as process:
        counts = cases(process)
    assert list(counts) == _native.isas()
    assert min(counts.values()) > 100


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, FOR_ARM64)), reason=f"needs {' and '.join(FOR_ARM64)}")
def test_arm64_agrees_with_the_oracle(monkeypatch):
    monkeypatch.delenv("VTSEARCH_ISA", raising=False)
    program = build("core-arm64")
    with (
        start(EMULATOR, program, "lengths", VTSEARCH_ISA="neon") as lengths,
        start(EMULATOR, program, "blocks") as blocks,
    ):
        counts = cases(blocks)
        assert list(counts) == ["neon", "scalar"]
        assert min(counts.values()) > 20_000 // EVERY
        assert cases(lengths)["neon"] > 600_000 // EVERY
