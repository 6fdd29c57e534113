"""A Ray cluster of several node processes on this machine, as ``ray start`` makes it; nodes may be killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

START_SECONDS = 120

os.environ["RAY_AUTH_MODE"] = "disabled"  # also where this user has a token for other clusters


class RayNodes:
    """Processes of a head node and of workers."""

    def __init__(self, workers=2, *, cpus=1):
        self.folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # paths of sockets are short
        self.port, self.cpus = free_port(), cpus
        self.address = f"{own_address()}:{self.port}"
        self.nodes = []
        try:
            self._start("--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}")
            self._await_port()
            self._await_nodes(1)
            for _ in range(workers):
                self.add_node()
        except BaseException:
            self.stop()
            raise

    def add_node(self):
        """Start one more node, and wait until it has joined: two that start at a time may choose the same ports."""
        before = alive_nodes(self.address)
        process = self._start(f"--address={self.address}")
        self._await_nodes(before + 1)
        return process

    def kill_node(self, process):
        """Kill a node, and everything that runs on it, as a power cut would."""
        _kill(process)
        self.nodes.remove(process)

    def processes(self, title):
        """The processes on these nodes in whose title or command a text is; other tests may have a cluster too."""
        return [each for node in self.nodes for each in _family(node) if title in _title(each)]

    def stop(self):
        """End all nodes."""
        for process in self.nodes[::-1]:
            _kill(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        """The environment of a program that finds this cluster without an address."""
        return {**os.environ, "RAY_ADDRESS": self.address}

    def _start(self, *arguments):
        command = [str(Path(sys.executable).with_name("ray")), "start", *arguments, "--block", "--disable-usage-stats"]
        command += [f"--num-cpus={self.cpus}", f"--object-store-memory={2**28}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment |= {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "4"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, **quiet, start_new_session=True, env=environment, preexec_fn=_end_with_us)  # noqa: PLW1509
        self.nodes.append(process)
        return process

    def _await_port(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((own_address(), self.port), timeout=1):
                return
            time.sleep(0.1)
        raise TimeoutError("the head node does not answer")

    def _await_nodes(self, count):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(RuntimeError):  # on a busy machine the head may not answer yet
                if alive_nodes(self.address) >= count:
                    return
            time.sleep(0.3)
        ended = [process.poll() for process in self.nodes]
        raise TimeoutError(f"fewer than {count} nodes have joined; the exit codes of their processes: {ended}")


def _end_with_us():
    """Have the kernel end this process when the tests are killed, and with it the node that it keeps."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _kill(process):
    """Kill a program and the programs that it started, which Ray gives process groups of their own."""
    for each in _family(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()


def _family(process):
    """A program and those that it started, and they in turn."""
    with contextlib.suppress(psutil.NoSuchProcess):
        program = psutil.Process(process.pid)
        return [program, *program.children(recursive=True)]
    return []


def _title(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def alive_nodes(address):
    """The number of living nodes of a cluster."""
    import ray
    from ray._raylet import GcsClient

    try:
        nodes = GcsClient(address=address).get_all_node_info()
    except ray.exceptions.RpcError as error:
        raise RuntimeError("the head node does not answer") from error
    return sum(not node.state for node in nodes.values())


def own_address():
    """The address of this machine by which Ray's processes find each other."""
    from ray.util import get_node_ip_address

    return get_node_ip_address()


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]
