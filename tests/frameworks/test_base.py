from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from framework_calls import loss_of

from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.frameworks.csq import CSQOptions

NAMES = sorted(FRAMEWORKS)
# Their gradient goes past a sign, and is not the derivative of the loss: their own tests say what it is.
STRAIGHT_THROUGH = ["bihalf", "cibhash", "greedyhash"]


@pytest.fixture(params=NAMES)
def framework(request):
    built = framework_class(request.param)(8, 3, 12)
    built.set_train_labels(torch.arange(12) % 3)
    return built


def batch(rows=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, 8, generator=random)
    return features, torch.randint(3, (rows,), generator=random), torch.randperm(12, generator=random)[:rows]


def test_the_table_imports_no_torch():
    code = "import sys, vtsearch.frameworks; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_framework_lists_the_choices():
    choices = ", ".join(FRAMEWORKS)
    with pytest.raises(
        ValueError, match=rf"framework: expected one of {choices}, or FILE.py:CLASS, got 'cqs' \(did you mean 'csq'"
    ):
        framework_class("cqs")


@pytest.mark.parametrize("name", NAMES)
def test_options_reject_a_typo(name):
    with pytest.raises(TypeError, match="quantisation"):
        framework_class(name).Options(quantisation=1.0)


def test_options_of_another_framework_are_refused():
    with pytest.raises(TypeError, match="options: expected HashNetOptions, got CSQOptions"):
        framework_class("hashnet")(8, 3, 12, CSQOptions())


@pytest.mark.parametrize("name", ["bits", "classes", "train_size"])
def test_sizes_below_one_are_refused(name):
    sizes = {"bits": 8, "classes": 3, "train_size": 12} | {name: 0}
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        framework_class("csq")(**sizes)


def test_class_numbers_and_columns_give_the_same_loss(framework):
    features, labels, positions = batch()
    before = {name: tensor.clone() for name, tensor in framework.state_dict().items()}
    by_number = loss_of(framework, features, labels, positions)
    framework.load_state_dict(before)
    columns = torch.nn.functional.one_hot(labels, 3).to(torch.uint8)
    assert torch.equal(loss_of(framework, features, columns, positions), by_number)


def test_wrong_shapes_are_named(framework):
    features, labels, positions = batch()
    with pytest.raises(ValueError, match=rf"features: expected shape \(b, 8\), got \({6 * framework.views}, 7\)"):
        loss_of(framework, features[:, :7], labels, positions)
    views = framework.views
    with pytest.raises(ValueError, match=rf"positions: expected shape \({6 * views},\), got \({5 * views},\)"):
        loss_of(framework, features, labels, positions[:5])
    with pytest.raises(ValueError, match=rf"labels: expected shape \({6 * views},\) or .*, got \({6 * views}, 4\)"):
        loss_of(framework, features, torch.zeros(6, 4), positions)
    with pytest.raises(ValueError, match="labels: expected 0 to 2, got 0 to 3"):
        loss_of(framework, features, torch.tensor([0, 1, 2, 3, 0, 1]), positions)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STRAIGHT_THROUGH])
def test_the_gradient_is_that_of_finite_differences(name):
    framework = framework_class(name)(8, 3, 12).double()
    features, labels, positions = batch()
    loss_of(framework, *batch(rows=12, seed=1))
    if getattr(framework, "bank", None) is not None:
        # The bank holds the batch itself, as a constant: difference against a bank filled with other images only.
        framework.bank.update = lambda *_: None
    state = {name: tensor.clone() for name, tensor in framework.state_dict().items()}

    def loss(values):
        copies = {name: tensor.clone() for name, tensor in state.items()}
        framework.load_state_dict(copies, assign=True)  # centers that move with each batch are constants of it
        return loss_of(framework, values, labels, positions)

    assert torch.autograd.gradcheck(loss, features.double().requires_grad_(), atol=1e-7)


def test_a_saved_state_continues_to_the_same_number(framework):
    framework.start_epoch(45)
    loss_of(framework, *batch(seed=1))
    other = type(framework)(8, 3, 12, seed=99)
    other.load_state_dict(framework.state_dict())
    assert torch.equal(loss_of(framework, *batch(seed=2)), loss_of(other, *batch(seed=2)))


def test_half_precision_features_are_computed_in_float32(framework):
    features, labels, positions = batch()
    rounded = features.bfloat16().float()
    state = {name: tensor.clone() for name, tensor in framework.state_dict().items()}
    expected = loss_of(framework, rounded, labels, positions)
    framework.load_state_dict(state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = loss_of(framework, features.bfloat16(), labels, positions)
    assert actual.dtype == torch.float32
    assert torch.equal(actual, expected)


def test_items_without_labels_leave_the_loss_finite(framework):
    features, _, positions = batch()
    features.requires_grad_()
    loss = loss_of(framework, features, torch.zeros(6, 3), positions)
    loss.backward()
    assert loss.isfinite()
    assert features.grad.isfinite().all()


def test_training_lowers_the_loss(framework):
    _, labels, positions = batch()
    features = torch.nn.Parameter(0.01 * batch()[0])
    optimizer = torch.optim.Adam([features], lr=0.1)
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        losses.append(loss_of(framework, features, labels, positions))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]
