"""Several nodes on one machine: a `torchrun` agent for each, with one process that may kill itself at a step.

Run as a program, this file is `vtsearch`; DIE_AT and DIE_RANK name the step and the rank of the process that dies, in
the first life of its launch alone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

SECONDS = 300
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # processes that are started again may find the dead ones' addresses
}


def start(node, *words, count=2, port, environment=None, options=()):
    """The agent of a node with one process."""
    launch = ["--nnodes", str(count), "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", str(port)]
    launch += ["--rdzv-endpoint", f"127.0.0.1:{port}", *options, __file__]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *launch, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | ENVIRONMENT | {"NODE": str(node)} | (environment or {}),
    )


def run(*words, environment=None, options=(), own=()):
    """Exit codes and output of two agents with one process each.

    Args:
        words: of the command.
        environment: of both agents.
        options: of torchrun.
        own: words of the second node in addition.
    """
    port = free_port()
    agents = [
        start(node, *words, *(own if node else ()), port=port, environment=environment, options=options)
        for node in range(2)
    ]
    try:
        output = [agent.communicate(timeout=SECONDS)[0] for agent in agents]
    finally:
        for agent in agents:
            end(agent)
    return [agent.returncode for agent in agents], output


def end(agent):
    """Let an agent end its process, or kill it if it does not within seconds."""
    agent.terminate()
    try:
        agent.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.communicate()


def launch(processes, *words, environment=None):
    """Exit code and output of `torchrun` with that many processes on this node."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    ended = subprocess.run(
        [*command, __file__, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SECONDS,
        env=os.environ | ENVIRONMENT | (environment or {}),
    )
    return ended.returncode, ended.stdout


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def die_at(step, rank):
    """Let the process of that rank die before that step."""
    from vtsearch.training.loop import Run

    take_step = Run._step

    def step_or_die(self, *batch):
        if self.state.step == step and self.components.accelerator.process_index == rank:
            os.kill(os.getpid(), signal.SIGKILL)
        return take_step(self, *batch)

    Run._step = step_or_die


if __name__ == "__main__":
    from vtsearch.cli import main
    from vtsearch.training import coordination

    coordination.VISIBLE_SECONDS = 1.0
    if "DIE_AT" in os.environ and os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0":
        die_at(int(os.environ["DIE_AT"]), int(os.environ["DIE_RANK"]))
    sys.exit(main())
