"""A run on two nodes: each is an agent of `torchrun` with a process of its own, on this machine."""

from __future__ import annotations

import shutil
from dataclasses import replace

import nodes
import numpy as np
import pytest
import torch
import yaml

from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.models import build_model, load_model
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.loop import Run, train
from vtsearch.training.metrics_log import read_metrics
from vtsearch.training.train_module import TrainModule

pytestmark = pytest.mark.slow  # processes that import torch
BATCH = 50
SHARDED = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "Block",
}
DYING = {"DIE_AT": "13", "DIE_RANK": "1"}


@pytest.fixture(scope="module")
def config(tiny_config):
    """10 steps in each of 2 epochs, a framework with parameters, no dropout, a checkpoint every 4 steps."""
    return replace(
        tiny_config,
        framework="greedyhash",
        options=framework_class("greedyhash").Options(),
        model=replace(tiny_config.model, dropout=0.0),
        batch_size=BATCH,
        optimizer=replace(tiny_config.optimizer, layer_decay=0.8),
        baselines=False,
        checkpoint_steps=4,
        log_every=1,
    )


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """The run of one process, which takes each batch whole."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(config, folder)
    return folder


@pytest.fixture(scope="module")
def halves(config):
    """The run of two processes with half a batch each."""
    return replace(config, batch_size=BATCH // 2)


@pytest.fixture(scope="module")
def on_two_nodes(halves, tmp_path_factory):
    """The run of two nodes, to its end."""
    folder = tmp_path_factory.mktemp("two") / "run"
    codes, output = nodes.run(*words(halves, folder))
    assert codes == [0, 0], output
    return folder


@pytest.fixture(scope="module")
def killed(halves, tmp_path_factory):
    """A run of two nodes, one process of which was killed in the second epoch."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    codes, output = nodes.run(*words(halves, folder), environment=DYING)
    assert 0 not in codes
    return folder, output


def words(config, folder):
    """The command of a run."""
    request = folder.with_suffix(".yaml")
    request.write_text(yaml.safe_dump(files.plain(config)))
    return ["train", "--config", str(request), "--output", str(folder)]


def resume(folder):
    """The command that continues a run, or starts it."""
    return ["train", "--output", str(folder), "--resume"]


def losses(folder):
    return [event["loss"] for event in read_metrics(folder / files.METRICS) if event["event"] in ("step", "epoch")]


def test_two_nodes_have_the_losses_of_one_process(whole, on_two_nodes):
    assert len(losses(whole)) == 22
    np.testing.assert_allclose(losses(on_two_nodes), losses(whole), rtol=1e-5)


def test_one_process_writes(on_two_nodes):
    events = read_metrics(on_two_nodes / files.METRICS)
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(1, 21))
    assert not [path for path in on_two_nodes.rglob(".*") if path.name != files.LOCK]  # nothing half-written


def test_a_folder_on_each_nodes_own_disk_is_refused_by_all(halves, tmp_path):
    ours, other = tmp_path / "ours", tmp_path / "other"
    codes, output = nodes.run(*words(halves, ours), own=["--output", str(other)])
    assert 0 not in codes
    for said in output:
        assert f"output: {other} on" in said
        assert "storage that all of them share" in said
    assert not ours.exists()
    assert not other.exists()


def test_a_killed_process_ends_the_run_on_all_nodes(killed):
    folder, output = killed
    assert "another process of this run ended" in "".join(output)
    assert not (folder / files.RESULT).exists()
    assert load_state(folder / files.LAST)["state"]["step"] == 12


def test_a_killed_run_resumes_on_two_nodes_to_the_same_numbers(killed, on_two_nodes, tmp_path):
    folder = shutil.copytree(killed[0], tmp_path / "run")
    codes, output = nodes.run(*resume(folder))
    assert codes == [0, 0], output
    assert losses(folder) == losses(on_two_nodes)
    assert load_model(folder / files.FINAL).fingerprint() == load_model(on_two_nodes / files.FINAL).fingerprint()


def test_a_killed_run_of_two_processes_resumes_in_one(killed, halves, whole, tmp_path):
    folder = shutil.copytree(killed[0], tmp_path / "run")
    train(halves, folder, resume=True)
    np.testing.assert_allclose(losses(folder), losses(whole), rtol=1e-5)


def test_a_run_of_one_process_resumes_on_two_nodes(config, whole, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Run, "_log_step", stop_at(13))
        with pytest.raises(KeyboardInterrupt):
            train(config, folder)
    codes, output = nodes.run(*resume(folder))
    assert codes == [0, 0], output
    assert "processes: begun by 1" in "".join(output)
    np.testing.assert_allclose(losses(folder), losses(whole), rtol=1e-5)


def stop_at(step):
    """A function that interrupts a run after that step."""
    log = Run._log_step

    def log_or_stop(self, loss):
        log(self, loss)
        if self.state.step == step:
            raise KeyboardInterrupt

    return log_or_stop


def test_a_number_of_processes_that_cannot_take_the_steps_is_refused(killed, tmp_path):
    folder = shutil.copytree(killed[0], tmp_path / "run")
    code, output = nodes.launch(3, *resume(folder))
    assert code != 0
    assert "processes: the run was started with 2" in output
    assert "expected 1, 2, 5, 10, 25, 50, got 3" in output


def test_torchrun_restarts_a_killed_run(halves, on_two_nodes, tmp_path):
    folder = tmp_path / "run"
    command = [*words(halves, folder), "--resume"]
    codes, output = nodes.run(*command, environment=DYING, options=("--max-restarts", "1"))
    assert codes == [0, 0], output
    assert "from epoch 2, step 12" in "".join(output)
    assert losses(folder) == losses(on_two_nodes)


@pytest.fixture(scope="module")
def killed_shards(halves, tmp_path_factory):
    """A run of two processes with sharded parameters, one of which was killed in the second epoch."""
    folder = tmp_path_factory.mktemp("shards") / "run"
    code, output = nodes.launch(2, *words(halves, folder), environment=SHARDED | DYING)
    assert code != 0, output
    return folder


def test_sharded_parameters_have_the_losses_of_whole_ones(killed_shards, whole):
    np.testing.assert_allclose(losses(killed_shards)[:11], losses(whole)[:11], rtol=1e-5)


def test_a_sharded_run_resumes(killed_shards, whole, tmp_path):
    folder = shutil.copytree(killed_shards, tmp_path / "run")
    code, output = nodes.launch(2, *resume(folder), environment=SHARDED)
    assert code == 0, output
    np.testing.assert_allclose(losses(folder), losses(whole), rtol=1e-5)
    for name in (files.BEST, files.FINAL):
        ours, others = (load_model(each / name).state_dict() for each in (folder, whole))
        assert ours.keys() == others.keys()
        for key, value in ours.items():
            torch.testing.assert_close(value, others[key], rtol=1e-3, atol=1e-4)


def test_a_sharded_run_resumes_without_sharding(killed_shards, halves, whole, tmp_path):
    folder = shutil.copytree(killed_shards, tmp_path / "run")
    train(halves, folder, resume=True)
    np.testing.assert_allclose(losses(folder), losses(whole), rtol=1e-5)


def test_a_run_without_sharding_resumes_sharded(killed, whole, tmp_path):
    folder = shutil.copytree(killed[0], tmp_path / "run")
    code, output = nodes.launch(2, *resume(folder), environment=SHARDED | {"FSDP_CPU_RAM_EFFICIENT_LOADING": "true"})
    assert code == 0, output
    np.testing.assert_allclose(losses(folder), losses(whole), rtol=1e-5)


@pytest.mark.parametrize("head", ["tokens", "cls", "pooled"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_parameter_gets_a_gradient(tiny_model_config, framework, head):
    """Data parallelism need not look for unused parameters."""
    made = framework_class(framework)(tiny_model_config.bits, 10, 40)
    made.set_train_labels(torch.arange(40) % 10)
    made.start_epoch(0)
    module = TrainModule(build_model(replace(tiny_model_config, head=head)), made)
    module(torch.randn(20, 3, 32, 32), torch.arange(20) % 10, torch.arange(20)).backward()
    assert [name for name, parameter in module.named_parameters() if parameter.grad is None] == []
