from __future__ import annotations

import json
import os
import resource
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file

import vtsearch.models.folder as folder_module
from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model, load_model, save_model
from vtsearch.models.folder import read_facts


def build(seed=0, **fields):
    torch.manual_seed(seed)
    options = {"backbone": "test_vit", "bits": 12, "image_size": 32, "pretrained": False}
    return build_model(ModelConfig(**{**options, "hidden": 16, **fields}))


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture
def saved(model, tmp_path):
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"head": "cls"},
        {"head": "pooled"},
        {"head": "dual", "groups": 3},
        {"head_norm": "batch"},
        {"preprocessing": "published"},
        {"backbone_dropout": 0.1},
        {"backbone": "resnet18"},
        {"backbone": "convnext_atto"},
    ],
)
def test_a_model_is_loaded_as_it_was_saved(tmp_path, fields):
    model = build(**fields)
    save_model(model, tmp_path / "deep" / "model")
    again = load_model(tmp_path / "deep" / "model")
    images = torch.randn(2, 3, 32, 32)
    assert not again.training
    assert torch.equal(again(images), model.eval()(images))
    assert again.fingerprint() == model.fingerprint()
    assert (again.config, again.preprocessing) == (model.config, model.preprocessing)


def test_configuration_and_fingerprint_are_read_without_the_weights(saved, model):
    (saved / "model.safetensors").unlink()
    assert read_facts(saved) == (model.config, model.fingerprint())
    content = json.loads((saved / "config.json").read_text())
    for damaged in ({**content, "config": {"bits": 0}}, {**content, "config": {"bytes": 8}}, {"format": "other"}):
        (saved / "config.json").write_text(json.dumps(damaged))
        with pytest.raises(VtsearchError, match=r"model: damaged model folder|expected format"):
            read_facts(saved)
    with pytest.raises(FileNotFoundError, match="nowhere: expected a model folder"):
        read_facts(saved / "nowhere")


def test_a_folder_holds_weights_and_config_and_nothing_else(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_model_folder_can_be_replaced(saved):
    other = build(seed=1, bits=16)
    save_model(other, saved)
    assert load_model(saved).fingerprint() == other.fingerprint()
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_a_folder_of_something_else_is_not_replaced(model, tmp_path):
    (tmp_path / "holiday.jpg").write_text("precious")
    with pytest.raises(ValueError, match="folder: expected a new or empty folder or a model to replace"):
        save_model(model, tmp_path)
    assert (tmp_path / "holiday.jpg").read_text() == "precious"


def test_a_failed_write_leaves_the_old_model(saved, model, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(folder_module, "save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(build(seed=1), saved)
    assert load_model(saved).fingerprint() == model.fingerprint()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: expected a model folder"):
        load_model(tmp_path / "none")


def test_another_folder_is_no_model(tmp_path):
    with pytest.raises(VtsearchError, match=r"not a model folder \(no config.json\)"):
        load_model(tmp_path)


def test_a_folder_without_weights_is_no_model(saved):
    (saved / "model.safetensors").unlink()
    with pytest.raises(VtsearchError, match=r"not a model folder \(no model.safetensors\)"):
        load_model(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json: not JSON"),
        ("[]", "config.json: expected a JSON object, got list"),
        ('{"format": "vtsearch-model", "version": 2}', "config.json: expected format 'vtsearch-model', version 1"),
        ('{"format": "vtsearch-model", "version": 1}', "damaged model folder"),
    ],
)
def test_another_config_is_refused(saved, text, message):
    (saved / "config.json").write_text(text)
    with pytest.raises(VtsearchError, match=message):
        load_model(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": 1_000_000},
        {"hidden": 10**30},
        {"bits": "12"},
        {"image_size": 10**6},
        {"image_size": None},
        {"backbone": "vit_giant_patch14_224"},
        {"backbone": ["test_vit"]},
        {"backbone": "../../etc/passwd"},
        {"dropout": float("nan")},
        {"weights": 5},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_hostile_config_is_refused_before_it_takes_memory(saved, changes):
    content = json.loads((saved / "config.json").read_text())
    content["config"] |= changes
    (saved / "config.json").write_text(json.dumps(content))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VtsearchError, match=r"model: damaged model folder \(") as refused:
        load_model(saved)
    assert "\n" not in str(refused.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, " " * (2**20 + 1), "\0"])
def test_hostile_json_is_one_line(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(VtsearchError, match=r"config\.json: ") as refused:
        load_model(saved)
    assert len(str(refused.value)) < 400


def test_weights_have_the_permissions_of_any_new_file(model, tmp_path):
    before = os.umask(0o027)
    try:
        save_model(model, tmp_path / "model")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model").iterdir()} == {0o640}


def test_a_changed_config_is_refused(saved):
    content = json.loads((saved / "config.json").read_text())
    content["preprocessing"]["crop_pct"] = 1.0
    (saved / "config.json").write_text(json.dumps(content))
    with pytest.raises(VtsearchError, match="fingerprints differ"):
        load_model(saved)
    content["config"]["bits"] = 13
    (saved / "config.json").write_text(json.dumps(content))
    with pytest.raises(VtsearchError, match="damaged model folder"):
        load_model(saved)


def test_changed_weights_are_refused(saved):
    state = load_file(saved / "model.safetensors")
    state["head.outer.bias"] += 1
    save_file(state, saved / "model.safetensors")
    with pytest.raises(VtsearchError, match="fingerprints differ"):
        load_model(saved)


def test_truncated_weights_are_refused(saved):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(VtsearchError, match="damaged model folder"):
        load_model(saved)
