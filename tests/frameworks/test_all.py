"""What every framework of the table owes: exact resume, finite numbers, options that say what they are."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import itertools

import pytest
import torch
from framework_calls import loss_of

from vtsearch.frameworks import FRAMEWORKS, framework_class

BITS, CLASSES, IMAGES = 8, 3, 12


def options_of(name):
    return {"default": framework_class(name).Options(), "published": framework_class(name).Options.published()}


ALL = pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name in sorted(FRAMEWORKS) for form in ("default", "published")]
)


def build(name, form, seed=0):
    framework = framework_class(name)(BITS, CLASSES, IMAGES, options_of(name)[form], seed)
    framework.set_train_labels(torch.arange(IMAGES) % CLASSES)
    return framework


def batches(count, kind="multi", seed=0):
    random = torch.Generator().manual_seed(seed)
    for _ in range(count):
        labels = torch.randint(CLASSES, (5,), generator=random)
        if kind == "multi":
            labels = torch.randint(2, (5, CLASSES), generator=random)
        yield torch.randn(5, BITS, generator=random), labels, torch.randperm(IMAGES, generator=random)[:5]


@ALL
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_run_that_stopped_amid_an_epoch_goes_on_to_the_same_numbers(name, form, kind):
    whole = build(name, form)
    whole.start_epoch(20)
    before, after = list(batches(3, kind, seed=1)), list(batches(3, kind, seed=2))
    for batch in before:
        loss_of(whole, *batch)
    saved = io.BytesIO()
    torch.save(whole.state_dict(), saved)
    expected = [losses_and_gradient(whole, *batch) for batch in after]
    saved.seek(0)
    resumed = build(name, form, seed=99)
    resumed.load_state_dict(torch.load(saved, weights_only=True))
    for batch, (loss, gradient) in zip(after, expected, strict=True):
        loss_again, gradient_again = losses_and_gradient(resumed, *batch)
        assert torch.equal(loss, loss_again)
        assert torch.equal(gradient, gradient_again)


def losses_and_gradient(framework, features, labels, positions):
    features = features.clone().requires_grad_()
    loss = loss_of(framework, features, labels, positions)
    loss.backward()
    return loss.detach(), features.grad


@pytest.mark.parametrize("name", sorted(FRAMEWORKS))
@pytest.mark.parametrize("size", [1e4, 1.0, 1e-4, 0.0])
@pytest.mark.parametrize("alike", [False, True])
def test_loss_and_gradient_are_finite_at_extremes(name, size, alike):
    framework = build(name, "default")
    for features, labels, positions in batches(3):
        values = features.sign() * size
        loss, gradient = losses_and_gradient(
            framework, values[:1].expand_as(values) if alike else values, labels, positions
        )
        assert loss.isfinite()
        assert gradient.isfinite().all()


@ALL
def test_the_last_batch_may_be_a_single_image(name, form):
    framework = build(name, form)
    for features, labels, positions in batches(2):
        loss_of(framework, features, labels, positions)
        loss, gradient = losses_and_gradient(framework, features[:1], labels[:1], positions[:1])
        assert loss.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", sorted(FRAMEWORKS))
def test_every_option_is_documented(name):
    options = framework_class(name).Options
    documented = {field for kind in options.__mro__[:-1] for field in attribute_docstrings(kind)}
    assert {field.name for field in dataclasses.fields(options)} <= documented


def attribute_docstrings(kind):
    """Names of the fields that a string follows."""
    body = ast.parse(inspect.getsource(kind)).body[0].body
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield field.target.id


@pytest.mark.parametrize("name", sorted(FRAMEWORKS))
def test_options_are_frozen_and_check_their_numbers_and_words(name):
    options = framework_class(name).Options()
    for field in dataclasses.fields(options):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(options, field.name, None)
        if isinstance(getattr(options, field.name), str):
            with pytest.raises(ValueError, match=f"{field.name}: expected .* got 'neither'"):
                dataclasses.replace(options, **{field.name: "neither"})
