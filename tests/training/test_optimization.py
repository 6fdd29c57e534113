from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vtsearch.frameworks import framework_class
from vtsearch.training.config import OptimizerConfig, ScheduleConfig
from vtsearch.training.optimization import OPTIMIZERS, SCHEDULES, build_optimizer, set_learning_rate
from vtsearch.training.train_module import TrainModule


@pytest.fixture
def objective(tiny_model):
    return TrainModule(tiny_model, framework_class("csq")(12, 10, 20))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_parameter_is_in_one_group(objective, name):
    optimizer = build_optimizer(objective, OptimizerConfig(name=name))
    grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(grouped) == len({id(parameter) for parameter in grouped}) == len(list(objective.parameters()))


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_descent_has_the_momentum_that_is_asked_for(objective, momentum):
    optimizer = build_optimizer(objective, OptimizerConfig(name="sgd", momentum=momentum))
    for group in optimizer.param_groups:
        assert (group["momentum"], group["nesterov"]) == (momentum, momentum > 0)


def test_biases_norms_and_position_embeddings_are_not_decayed(objective):
    optimizer = build_optimizer(objective, OptimizerConfig(weight_decay=0.1))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    model = objective.model
    assert decay[id(model.head.inner.weight)] == 0.1
    assert decay[id(model.head.inner.bias)] == 0.0
    assert decay[id(model.backbone.pos_embed)] == 0.0
    assert decay[id(model.backbone.norm.weight)] == 0.0
    assert decay[id(model.backbone.blocks[0].mlp.fc1.weight)] == 0.1


def test_layer_decay_slows_the_layers_near_the_image(objective):
    optimizer = build_optimizer(objective, OptimizerConfig(lr=1.0, layer_decay=0.5))
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    blocks, head = objective.model.backbone.blocks, objective.model.head
    assert rate[id(head.inner.weight)] == 1.0
    assert rate[id(blocks[0].mlp.fc1.weight)] == 0.5 * rate[id(blocks[1].mlp.fc1.weight)] < 0.5


def test_the_head_and_the_framework_may_learn_faster_than_the_backbone(tiny_model):
    objective = TrainModule(tiny_model, framework_class("greedyhash")(12, 10, 20))
    optimizer = build_optimizer(objective, OptimizerConfig(lr=1.0, head_factor=8.0))
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert {rate[id(p)] for p in objective.model.backbone.parameters()} == {1.0}
    learned = [*objective.model.head.parameters(), *objective.framework.parameters()]
    assert {rate[id(p)] for p in learned} == {8.0}


def test_a_rate_is_the_peak_times_the_curve(objective):
    optimizer = build_optimizer(objective, OptimizerConfig(lr=0.5))
    schedule = ScheduleConfig(name="cosine", warmup=0.5)
    assert set_learning_rate(optimizer, schedule, 0.25) == 0.5
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}


def test_one_cycle_is_that_of_torch():
    steps, parameter = 50, torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(  # which counts its steps from 0 to total - 1, and so does its share
        optimizer, 1.0, total_steps=51, pct_start=11 / 51, cycle_momentum=False, final_div_factor=4000
    )
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    ours = [SCHEDULES["one_cycle"](step / steps, 0.2) for step in range(steps)]
    assert ours == pytest.approx(rates)
    assert max(ours) == ours[10] == 1.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_curve_stays_between_nothing_and_the_peak_without_warmup_too(name):
    for warmup in (0.0, 0.3):
        curve = [SCHEDULES[name](step / 100, warmup) for step in range(100)]
        assert 0.0 <= min(curve) <= max(curve) <= 1.0


def test_options_of_the_config_are_frozen():
    with pytest.raises(TypeError):
        replace(OptimizerConfig(), rate=1)
