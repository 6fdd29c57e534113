"""docs/model_exchange.md: its commands and its Python run, and give the codes of the model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_stand_in import hub_stand_in
from PIL import Image
from saved_runs import save_run

from vtsearch.cli import main
from vtsearch.codes import pack
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model

PAGE = Path(__file__).parents[2] / "docs" / "model_exchange.md"


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)[1]


def python_of(title):
    return re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)


def commands_of(title):
    return [line.split()[1:] for line in section(title).splitlines() if line.startswith("    vtsearch ")]


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = build_model(ModelConfig("test_vit", 16, head="cls", image_size=32, pretrained=False)).eval()
    save_run(tmp_path / "runs/cifar")
    for name in ("final", "best"):
        save_model(model, tmp_path / "runs/cifar" / name)
    return model


@pytest.mark.slow
def test_exports_of_the_page(model):
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'vtsearch[onnx]'")
    exporting, with_onnx, with_torch = python_of("ONNX and torch.export")
    for command in commands_of("ONNX and torch.export"):
        assert main(command) == 0
    names = {}
    with pytest.raises(FileExistsError, match=r"target: expected a new file, got 'model\.onnx'"):  # of the command
        exec(exporting, names)
    pixels = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = pack(model(pixels).detach().numpy())
    names["images"] = pixels.numpy()
    exec(with_onnx, names)
    assert names["codes"].tobytes() == expected.tobytes()
    names["images"] = pixels
    exec(with_torch, names)
    assert np.packbits(names["features"].detach() > 0, axis=1).tobytes() == expected.tobytes()
    assert '"bits": 16' in names["about"]["vtsearch"]


def test_the_hub_of_the_page(model, tmp_path):
    Image.new("RGB", (40, 40), "red").save((tmp_path / "photos").mkdir() or tmp_path / "photos/1.png")
    with hub_stand_in(tmp_path / "cache") as hub:
        pushes, best, encodes = commands_of("Hugging Face hub")
        assert main(pushes) == 0
        assert main(best) == 2  # the repository is public
        hub.repositories.clear()
        assert main(best) == 0
        hub.repositories.clear()
        (python,) = python_of("Hugging Face hub")
        exec(python, names := {})
        assert main(encodes) == 0
    assert names["encoder"].model.fingerprint() == model.fingerprint()
    with Index.open("codes") as index:
        assert index.description["model"] == f"me/cifar-64@{names['pushed'].commit}"
        assert index.codes().tobytes() == names["encoder"].encode(["photos/1.png"]).tobytes()


def test_scikit_learn_of_the_page(model, tmp_path):
    paths = []
    for number, color in enumerate(("red", "blue") * 3):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (40 + number, 40), color).save(paths[-1])
    (python,) = python_of("scikit-learn")
    names = {"paths": paths, "labels": [0, 1] * 3, "other_paths": paths[:2]}
    exec(python, names)
    assert names["predicted"].tolist() == [0, 1]
