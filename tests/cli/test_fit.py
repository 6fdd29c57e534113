"""``vtsearch fit``: what it prints, and that the other commands take its models."""

from __future__ import annotations

import json
import re

import pytest

from vtsearch.cli import fit, main
from vtsearch.index import Index
from vtsearch.models import load_model

TINY = ["--protocol", "digits", "--backbone", "test_vit", "--no-pretrained", "--image-size", "32", "--bits", "12"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit") / "model"
    assert main(["fit", "itq", *TINY, "--output", str(folder), "--seed", "3", "--no-evaluate"]) == 0
    return folder


def test_the_seconds_and_the_map_with_its_bounds_are_printed(tmp_path, capsys):
    assert main(["fit", "rotation", *TINY, "--output", str(tmp_path / "model")]) == 0
    first, score, choices, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"rotation, 12 bits, fitted to 500 images: features [\d.]+ s, fit [\d.]+ s", first)
    numbers = re.fullmatch(
        r"protocol digits, seed 0  mAP@all (0\.\d+) \(by order of ties (0\.\d+) to (0\.\d+)\), "
        r"vote of the nearest 0\.\d+",
        score,
    )
    expected, worst, best = map(float, numbers.groups())
    assert 0.15 < worst < expected < best
    assert choices == "ties expected, normalizer retrieved"
    assert re.fullmatch(r".*model: model [0-9a-f]{12}, (bf16|fp32)", last)


def test_json_has_the_facts_of_the_folder(tmp_path, capsys):
    words = ["--output", str(tmp_path / "model"), "--json", "--iterations", "2", "--precision", "fp32"]
    assert main(["fit", "itq", *TINY, *words]) == 0
    facts = json.loads(capsys.readouterr().out)
    model = load_model(tmp_path / "model")
    assert facts["fingerprint"] == model.fingerprint()
    assert (facts["method"], facts["iterations"], facts["images"], facts["k"]) == ("itq", 2, 500, None)
    assert facts["split"] == model.fitted.split
    assert set(facts["scores"]) == {"expected", "index", "best", "worst", "vote"}


def test_a_fitted_model_is_described_and_verified(fitted, capsys):
    assert main(["info", str(fitted), "--verify"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"fitted +method: itq\n +seed: 3\n +images: 500\n", out)
    assert out.endswith("as written\n")


@pytest.mark.slow
def test_other_commands_take_a_fitted_model(fitted, tmp_path, capsys):
    for part in ("query", "database"):
        words = ["--part", part, "--model", str(fitted), "--output", str(tmp_path / part)]
        assert main(["encode", "digits", *words]) == 0
    sides = ["--queries", str(tmp_path / "query"), "--database", str(tmp_path / "database")]
    assert main(["evaluate", *sides]) == 0
    assert "mAP@all" in capsys.readouterr().out
    with Index.open(tmp_path / "database") as index:
        assert index.fingerprints["model"] == load_model(fitted).fingerprint()
        item = index.ids()[0]
    assert main(["search", item, "--index", str(tmp_path / "database"), "-k", "2"]) == 0


def test_a_model_is_replaced_only_when_asked(fitted, capsys):
    words = ["fit", "lsh", *TINY, "--output", str(fitted), "--no-evaluate"]
    before = load_model(fitted).fingerprint()
    assert main(words) == 2
    assert capsys.readouterr().err == (
        f"vtsearch fit: output: {fitted} is a model; choose another --output, or --overwrite it\n"
    )
    assert load_model(fitted).fingerprint() == before


def test_the_backbone_is_that_of_the_weights_file_unless_it_is_named():
    def backbone(*words):
        argv = ["pca", "--output", "new", *words]
        return fit.parser(fit._weights(argv)).parse_args(argv).backbone

    weights = "some/vit_small_patch16_224.augreg_in21k.safetensors"
    assert backbone("--weights", weights) == "vit_small_patch16_224.augreg_in21k"
    assert backbone(f"--weights={weights}", "--backbone", "test_vit") == "test_vit"
    assert backbone() == "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


def test_a_folder_of_own_images_says_what_was_left_out(tmp_path, capsys):
    from mistakes import build

    root = build(tmp_path)
    (root / "pictures/cat/9.heic").write_text("x")
    words = ["--backbone", "test_vit", "--no-pretrained", "--image-size", "32", "--bits", "8", "--no-evaluate"]
    assert main(["fit", "lsh", "--protocol", str(root / "pictures"), *words, "--output", str(root / "new")]) == 0
    assert ": 1 files: 1 .heic\n" in capsys.readouterr().err
    assert load_model(root / "new").fitted.protocol == str(root / "pictures")
