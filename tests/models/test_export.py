"""Models as ONNX files and as files of torch.export: the codes of the model, for batches of any length."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from vtsearch.cli import main
from vtsearch.codes import pack
from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig, build_model, export, export_model, onnx_file, pt2_file

KINDS = {
    "tokens": {"head": "tokens"},
    "class token, batch norm": {"head": "cls", "head_norm": "batch"},
    "dual": {"head": "dual", "groups": 3},
    "pooled": {"head": "pooled", "bits": 20},
    "CNN, batch norm": {"backbone": "resnet18", "head_norm": "batch"},
}
FACTS = {"format": 1, "threshold": "feature > 0", "bit_order": "big"}


def build(**fields):
    torch.manual_seed(0)
    options = {"backbone": "test_vit", "bits": 12, "image_size": 32, "pretrained": False, "hidden": 16}
    model = build_model(ModelConfig(**(options | fields)))
    if fields.get("head_norm") == "batch":
        model(torch.randn(16, 3, 32, 32))  # running means other than 0
    return model


@pytest.fixture(scope="module")
def model():
    return build(head="cls")


@pytest.fixture
def instant(monkeypatch):
    """Write, instead of a traced model, a file that is taken for one with the features of ``function``."""

    def write(function):
        monkeypatch.setattr(export, "_traced", lambda model: None)
        for module in (onnx_file, pt2_file):
            monkeypatch.setattr(module, "write", lambda program, facts, path: path.write_text(facts))
            monkeypatch.setattr(module, "opened", lambda path: function)

    return write


def onnx_function(path):
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'vtsearch[onnx]'")
    session = runtime.InferenceSession(str(path))
    facts = json.loads(session.get_modelmeta().custom_metadata_map["vtsearch"])
    return lambda images: session.run(["features"], {"images": images.numpy()})[0], facts


def pt2_function(path):
    found = {"vtsearch": ""}
    program = torch.export.load(path, extra_files=found).module()
    return lambda images: program(images).detach().numpy(), json.loads(found["vtsearch"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "read"), [("onnx", onnx_function), ("pt2", pt2_function)])
def test_a_file_gives_the_codes_of_its_model(kind, name, read, tmp_path):
    if name == "onnx":
        pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'vtsearch[onnx]'")
    model = build(**KINDS[kind])
    was_training, layout = model.training, model.state_dict()
    exported = export_model(model, tmp_path / f"model.{name}")
    assert exported[:4] == (name, str(tmp_path / f"model.{name}"), model.bits, 32)
    assert exported.difference < 1e-5
    function, facts = read(tmp_path / f"model.{name}")
    fields = {"bits": model.bits, "preprocessing": json.loads(json.dumps(model.preprocessing.to_dict()))}
    fields |= {"fingerprint": model.fingerprint(), "backbone": model.config.backbone}
    assert facts == FACTS | fields
    assert model.training == was_training
    assert all(torch.equal(model.state_dict()[key], tensor) for key, tensor in layout.items())
    model.eval()
    for count in (1, 3, 8):
        images = torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))
        with torch.inference_mode():
            expected = model(images).numpy()
        found = function(images)
        assert (found.dtype, found.shape) == (np.float32, (count, model.bits))
        assert pack(found).tobytes() == pack(expected).tobytes()


def test_the_command_prints_json(folder, model, instant, capsys):
    instant(model)
    assert main(["export", "model", "a.pt2", "--json"]) == 0
    facts = {"format": "pt2", "target": "a.pt2", "bits": 12, "image_size": 32, "megabytes": 0.0, "difference": 0.0}
    assert json.loads(capsys.readouterr().out) == {"model": "model"} | facts


def test_the_command_says_what_it_wrote(folder, model, instant, capsys):
    instant(lambda images: model(images) + 1e-9)
    assert main(["export", "model", "a.bin", "--to", "pt2"]) == 0
    line = "a.bin: model of 12 bits for images of 32 x 32 pixels (pt2, 0.0 MB); its features differ by "
    assert capsys.readouterr().out.startswith(line)


@pytest.mark.parametrize(
    "function",
    [
        lambda images: torch.zeros(len(images), 12),
        lambda images: torch.full((len(images), 12), float("nan")),
        lambda images: torch.zeros(len(images), 11),
    ],
    ids=["other features", "NaN", "fewer"],
)
def test_a_file_of_other_features_gets_no_name(folder, instant, function):
    instant(function)
    (folder / "a.pt2").write_text("old")
    with pytest.raises(VtsearchError, match=r"a\.pt2: expected the features of the model to .*; no file was written"):
        export_model("model", "a.pt2", overwrite=True)
    assert (folder / "a.pt2").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["a.pt2", "model"]


def test_a_file_that_exists_is_replaced_if_asked(folder, model, instant):
    instant(model)
    (folder / "a.pt2").write_text("old")
    with pytest.raises(FileExistsError, match=r"target: expected a new file, got 'a\.pt2'"):
        export_model("model", "a.pt2")
    assert (folder / "a.pt2").read_text() == "old"
    export_model("model", "a.pt2", overwrite=True)
    assert json.loads((folder / "a.pt2").read_text())["bits"] == 12


def test_a_network_that_torch_cannot_trace_is_an_error(folder, monkeypatch):
    def refuse(*_arguments, **_options):
        raise RuntimeError("Could not guard on data-dependent expression\nmore")

    monkeypatch.setattr(torch.export, "export", refuse)
    with pytest.raises(
        VtsearchError, match=r"test_vit: torch cannot export it \(Could not guard on [a-z-]+ expression\)"
    ):
        export_model("model", "a.pt2")
    assert sorted(path.name for path in folder.iterdir()) == ["model"]


def test_an_operator_that_onnx_does_not_have_is_an_error(folder, instant, monkeypatch):
    write = onnx_file.write
    instant(None)
    monkeypatch.setattr(onnx_file, "write", write)
    monkeypatch.setattr(onnx_file, "PACKAGES", ())

    def refuse(*_arguments, **_options):
        raise torch.onnx.errors.OnnxExporterError("No decompositions\nmore")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(VtsearchError, match=r"format: torch cannot write this model as onnx \(No decompositions\)"):
        export_model("model", "a.onnx")
    assert sorted(path.name for path in folder.iterdir()) == ["model"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ["model", "a.tflite"],
            ValueError,
            r"target: expected a file that ends as \.onnx, \.pt2 for a model, got 'a.tf",
        ),
        (["model", "a", "onxx"], ValueError, r"format: expected one of onnx, pt2 for a model, got 'onxx' .*'onnx'\?"),
        (["model", "no/a.pt2"], FileNotFoundError, "target: expected a file in a folder that exists, got 'no/a.pt2'"),
        (["none", "a.pt2"], FileNotFoundError, "none: expected a model folder"),
        ([".", "a.pt2"], VtsearchError, "not a model folder"),
    ],
)
def test_mistakes_are_named_and_write_nothing(folder, arguments, error, message):
    with pytest.raises(error, match=message):
        export_model(*arguments)
    assert sorted(path.name for path in folder.iterdir()) == ["model"]


def test_a_model_that_is_too_large_for_onnx_is_refused(folder, monkeypatch):
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 1000)
    monkeypatch.setattr(onnx_file, "PACKAGES", ())
    with pytest.raises(ValueError, match=r"format: expected a model of less than 2 GiB for onnx, got .*; pt2 takes it"):
        export_model("model", "a.onnx")


def test_a_missing_package_is_named_with_its_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(onnx_file, "PACKAGES", ("onnxscript",))
    with pytest.raises(ModuleNotFoundError, match=r"needs onnxscript: pip install 'vtsearch\[onnx\]'"):
        export_model("model", "a.onnx")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "model codes.faiss",
            "target: expected a file that ends as .onnx, .pt2 for the model model, got 'codes.faiss'",
        ),
        ("model codes.npy --to npy", "format: expected one of onnx, pt2 for the model model, got 'npy'"),
        ("model a.onnx --table codes", "table: expected none with format onnx, got 'codes'"),
        (
            "none a.onnx",
            "none: expected a model folder (config.json and model.safetensors), or user/name of the Hugging Face hub",
        ),
    ],
)
def test_the_command_tells_models_from_indexes(folder, capsys, words, line):
    assert main(["export", *words.split()]) == 2
    assert capsys.readouterr().err == f"vtsearch export: {line}\n"
