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
from vtsearch.data.sources.decode import read_image
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model
from vtsearch.tensors.preprocessing import to_tensor

ORIENTATION = 0x0112
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


def pictures(folder):
    """Wide, high, square, smaller than the model's 32 pixels, with transparency, and on its side by EXIF."""
    paths = []
    for number, size in enumerate([(60, 41), (37, 90), (40, 40), (20, 20), (20, 33), (50, 45)]):
        noise = np.random.default_rng(number).integers(0, 256, (5, 7, 4 if number == 4 else 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize(size)
        paths.append(folder / f"{number}.png")
        exif = Image.Exif()
        exif[ORIENTATION] = 6 if number == 5 else 1
        image.save(paths[-1], exif=exif)
    return paths


@pytest.mark.slow
def test_exports_of_the_page(model, tmp_path):
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'vtsearch[onnx]'")
    exporting, preparing, with_onnx, with_torch = python_of("ONNX and torch.export")
    for command in commands_of("ONNX and torch.export"):
        assert main(command) == 0
    names = {"paths": pictures(tmp_path)}
    with pytest.raises(FileExistsError, match=r"target: expected a new file, got 'model\.onnx'"):  # of the command
        exec(exporting, names)
    exec(preparing, names)
    exec(with_onnx, names)
    tensors = [model.preprocessing.square(to_tensor(read_image(path, str(path)))) for path in names["paths"]]
    images = torch.stack([model.preprocessing.normalize(tensor) for tensor in tensors])
    np.testing.assert_allclose(names["images"], images, atol=2 / 255 / 0.5)  # Pillow and torch round to other pixels
    expected = pack(model(torch.from_numpy(names["images"])).detach().numpy())
    assert names["codes"].tobytes() == expected.tobytes()
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
