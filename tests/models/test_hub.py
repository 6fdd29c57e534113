"""Models go to the Hugging Face hub and come from it; a stand-in on this machine answers for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hub_stand_in import add_commit, hub_stand_in, reach
from huggingface_hub import constants
from PIL import Image
from saved_runs import save_run

import vtsearch
from vtsearch._json import write_checked
from vtsearch.cli import main
from vtsearch.errors import VtsearchError
from vtsearch.exchange.hub import hub_name, locate_model, may_be_model
from vtsearch.exchange.hub_errors import hub_errors
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, load_model, push_model, save_model
from vtsearch.serve.encoders import QueryEncoder, SharedEncoders
from vtsearch.serve.registry import IndexRegistry

NOWHERE = "http://127.0.0.1:1"


def build(seed=0):
    torch.manual_seed(seed)
    return build_model(ModelConfig("test_vit", 16, head="cls", image_size=32, pretrained=False)).eval()


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture
def hub(folder):
    with hub_stand_in(folder / "cache") as hub:
        yield hub


def files_of(hub, name, branch="main"):
    repository = hub.repositories[name]
    return repository["commits"][repository["branches"][branch]]


def stored(folder):
    return {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}


def asked(hub, method):
    return [path.rsplit("/", 1)[-1] for command, path in hub.requests if command == method]


@pytest.mark.parametrize("lfs", [True, False], ids=["LFS", "regular"])
def test_a_model_is_loaded_as_it_was_pushed(hub, folder, model, lfs):
    hub.lfs = lfs
    pushed = push_model("model", "me/cifar-64")
    assert pushed == ("me/cifar-64", hub.repositories["me/cifar-64"]["branches"]["main"], f"{hub.url}/me/cifar-64")
    files = files_of(hub, "me/cifar-64")
    assert {name: files[name] for name in ("config.json", "model.safetensors")} == stored(folder / "model")
    assert set(files) == {".gitattributes", "README.md", "config.json", "model.safetensors"}
    loaded = load_model("me/cifar-64")
    assert loaded.fingerprint() == model.fingerprint()
    pixels = np.zeros((32, 32, 3), np.uint8)
    encoder = vtsearch.load_model("me/cifar-64")
    assert encoder.encode([pixels]).tobytes() == vtsearch.load_model("model").encode([pixels]).tobytes()


def test_nothing_else_is_fetched(hub, folder):
    add_commit(hub, "me/x", {**stored(folder / "model"), "model.bin": b"pickled", "code.py": b"import os"})
    load_model("me/x")
    assert asked(hub, "GET") == ["config.json", "model.safetensors"]


def test_a_revision_is_another_model(hub, folder):
    save_model(build(1), folder / "other")
    push_model("model", "me/x")
    pushed = push_model("other", "me/x", revision="v2")
    other = load_model("other").fingerprint()
    for revision in ("v2", pushed.commit):
        assert load_model(f"me/x@{revision}").fingerprint() == other
    assert load_model("me/x").fingerprint() == load_model("me/x@main").fingerprint() != other
    assert "vtsearch encode photos --model me/x@v2 " in files_of(hub, "me/x", "v2")["README.md"].decode()
    with pytest.raises(VtsearchError, match="me/x@v3: expected a branch, a tag or a commit of the repository"):
        load_model("me/x@v3")


def test_a_second_push_is_a_second_commit(hub, folder):
    first = push_model("model", "me/x")
    save_model(build(1), folder / "model")
    second = push_model("model", "me/x")
    assert load_model("me/x").fingerprint() == load_model("model").fingerprint()
    assert load_model(f"me/x@{first.commit}").fingerprint() == build(0).fingerprint()
    assert second.commit != first.commit


def test_a_private_repository_is_for_its_owner(hub, monkeypatch):
    push_model("model", "me/x", private=True)
    assert hub.repositories["me/x"]["private"]
    with monkeypatch.context() as stranger:
        stranger.delenv("HF_TOKEN")
        stranger.setattr(constants, "HF_TOKEN_PATH", "nowhere")
        with pytest.raises(
            FileNotFoundError, match=r"me/x: expected a model folder, or a repository of .*hf auth login"
        ):
            load_model("me/x")
    load_model("me/x")


def test_a_public_repository_gets_no_private_model(hub):
    add_commit(hub, "me/x", {})
    with pytest.raises(
        ValueError, match="private: expected a private repository, got me/x, which exists and is public"
    ):
        push_model("model", "me/x", private=True)
    assert files_of(hub, "me/x") == {}


def test_a_folder_comes_before_the_hub(hub, folder, model):
    save_model(model, folder / "me" / "x")
    assert locate_model("me/x") == (folder.__class__("me/x"), str(folder / "me" / "x"))
    assert hub.requests == []


@pytest.mark.slow  # the client tries again for seconds
def test_without_the_hub_a_copy_is_used(hub, folder, model, monkeypatch):
    push_model("model", "me/x")
    load_model("me/x")
    reach(monkeypatch, constants, NOWHERE)
    assert load_model("me/x").fingerprint() == model.fingerprint()
    with pytest.raises(
        VtsearchError, match=r"^me/y: no such folder; .*:1 cannot be reached, and its cache has no copy$"
    ):
        load_model("me/y")
    with pytest.raises(VtsearchError, match=r"^me/x: http://127\.0\.0\.1:1 cannot be reached \(.*\)$"):
        push_model("model", "me/x")


def test_a_mistyped_folder_asks_no_hub(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    add_commit(hub, "runs/bset", {"config.json": b"{}"})
    asked_before = len(hub.requests)
    with pytest.raises(FileNotFoundError, match=r"^runs/bset: expected a model folder .*; runs is a folder here, so"):
        load_model("runs/bset")
    assert len(hub.requests) == asked_before


@pytest.mark.parametrize("token", [None, "hf_of_a_stranger"])
def test_who_may_not_write_is_told_to_log_in(hub, monkeypatch, token):
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "nowhere")
    with pytest.raises(
        VtsearchError, match=r"^me/x: .* refuses .*token.*; log in with `hf auth login`, or set HF_TOKEN$"
    ):
        push_model("model", "me/x")
    assert hub.repositories == {}


def test_a_repository_of_something_else_is_refused_before_its_weights_are_fetched(hub):
    add_commit(hub, "google/vit", {"config.json": b'{"model_type": "vit"}', "model.safetensors": b"large"})
    with pytest.raises(VtsearchError, match=r"google/vit: not a model of vtsearch \(config\.json\): expected format"):
        load_model("google/vit")
    assert asked(hub, "GET") == ["config.json"]


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_a_repository_without_a_model_is_refused(hub, folder, missing):
    files = stored(folder / "model")
    del files[missing]
    add_commit(hub, "me/x", files)
    with pytest.raises(VtsearchError, match=r"^me/x: not a model of vtsearch \(no config\.json or no model\.safetens"):
        load_model("me/x")


def test_damaged_weights_are_refused(hub, folder):
    files = stored(folder / "model")
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 0x40
    add_commit(hub, "me/x", files | {"model.safetensors": bytes(weights)})
    with pytest.raises(VtsearchError, match=r"^me/x: model\.safetensors is not what config\.json was written with"):
        load_model("me/x")
    add_commit(hub, "me/y", files | {"model.safetensors": b"garbage"})
    with pytest.raises(VtsearchError, match=r"^me/y: damaged model folder"):
        load_model("me/y")


def test_a_download_that_ends_too_early_is_no_model(hub, folder):
    push_model("model", "me/x")
    hub.cut = 200
    with pytest.raises(VtsearchError, match=r"^me/x: "):
        load_model("me/x")
    hub.cut = None
    load_model("me/x")


def test_a_damaged_model_is_not_pushed(hub, folder):
    (folder / "model/model.safetensors").write_bytes(b"garbage")
    with pytest.raises(VtsearchError, match="model: damaged model folder"):
        push_model("model", "me/x")
    with pytest.raises(FileNotFoundError, match="nowhere: expected a model folder"):
        push_model("nowhere", "me/x")
    assert hub.requests == []


@pytest.mark.parametrize("name", ["cifar", "me/x/y", "me/x@v1", "me /x", "-me/x", "me/..", ""])
def test_a_repository_has_a_user_and_a_name(hub, name):
    with pytest.raises(ValueError, match="repository: expected user/name, got '"):
        push_model("model", name)
    assert hub.requests == []


def test_a_branch_has_a_name(hub):
    with pytest.raises(ValueError, match=r"revision: expected the name of a branch, got 'a b'"):
        push_model("model", "me/x", revision="a b")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("me/x", ("me/x", None)),
        ("me/x@v1.0", ("me/x", "v1.0")),
        ("me/x@feature/a", ("me/x", "feature/a")),
        ("model", None),
        ("./model", None),
        ("../me", None),
        ("/me/x", None),
        ("me/x@", None),
        ("me/x@../y", None),
        ("runs/cifar/final", None),
        ("me/x\n", None),
        ("me/--x", None),
    ],
)
def test_texts_that_name_a_repository(text, name):
    assert hub_name(text) == name


def test_what_may_be_a_model(folder):
    (folder / "a").mkdir()
    (folder / "a/file").write_text("x")
    texts = ("model", "a", "a/file", "me/x", "nowhere", "/me/x")
    assert [may_be_model(text) for text in texts] == [True, True, False, True, False, False]
    with pytest.raises(FileNotFoundError, match=r"a/file: expected a model folder \(.*\), or user/name of the Hugging"):
        locate_model("a/file")
    with pytest.raises(FileNotFoundError, match="me/x: expected a model folder"):  # a path is no text
        locate_model(folder.__class__("me/x"))


def test_errors_of_others_are_left_as_they_are():
    for error in (KeyError("a"), OSError(28, "No space left on device", "cache")):
        with pytest.raises(type(error)) as raised, hub_errors("me/x"):
            raise error
        assert raised.value is error


# The card


@pytest.mark.parametrize(("pushed", "what"), [("run", "last"), ("run/final", "last"), ("run/best", "best")])
def test_the_card_of_a_run_has_its_scores(hub, folder, model, pushed, what):
    save_run(folder / "run", seed=3, data="/home/me/secret", weights="/home/me/w.pth")
    for name in ("final", "best"):
        save_model(model, folder / "run" / name)
    report = json.loads((folder / "run/report.json").read_text())
    evaluations = {"last": report["evaluation"], "best": json.loads(json.dumps(report["evaluation"]))}
    evaluations["best"]["mean_average_precision"]["expected"] = 0.9876
    write_checked(folder / "run/best.json", {"epoch": 2, "evaluation": evaluations["best"]})
    push_model(pushed, "me/x")
    card = files_of(hub, "me/x")["README.md"].decode()
    scores = evaluations[what]["mean_average_precision"]
    for line in (
        "| protocol | animals |",
        f"| split | `{report['context']['split']}` |",
        "| seed | 3 |",
        f"| mAP@all, expected over ties | {scores['expected']:.4f} |",
        f"| mAP@all, bounds of any order of ties | {scores['worst']:.4f} to {scores['best']:.4f} |",
        "optimizer.lr: 0.01",
        f"| fingerprint | `{model.fingerprint()}` |",
        "| bits | 16 |",
        'encoder = vtsearch.load_model("me/x")',
    ):
        assert f"\n{line}\n" in card
    assert "home" not in card
    assert files_of(hub, "me/x")["model.safetensors"] == (folder / "run/final/model.safetensors").read_bytes()


def test_a_run_that_is_not_finished_is_not_pushed(hub, folder, model):
    save_run(folder / "run")
    save_model(model, folder / "run/best")
    (folder / "run/result.json").unlink()
    with pytest.raises(VtsearchError, match="run: the run is not finished"):
        push_model("run", "me/x")
    push_model("run/best", "me/x")  # a model as any other
    assert "## Training" not in files_of(hub, "me/x")["README.md"].decode()


# Commands


@pytest.fixture
def photos(folder):
    for number in range(3):
        (folder / "photos").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"photos/{number}.png")


def test_commands_take_models_of_the_hub(hub, photos, capsys):
    assert main(["push", "model", "me/x", "--json"]) == 0
    pushed = json.loads(capsys.readouterr().out)
    commit = hub.repositories["me/x"]["branches"]["main"]
    assert pushed == {"model": "model", "repository": "me/x", "commit": commit, "url": f"{hub.url}/me/x"}
    assert main(["encode", "photos", "--model", "me/x", "--output", "index"]) == 0
    with Index.open("index") as index:
        assert index.description["model"] == f"me/x@{commit}"
    capsys.readouterr()
    for words in ([], ["--model", "me/x"]):
        assert main(["search", "photos/1.png", "--index", "index", "-k", "1", *words]) == 0
        assert capsys.readouterr().out.split()[-1] == "1.png"
    with ThreadPoolExecutor(1) as executor, Index.open("index") as index:
        remembered = QueryEncoder(index, None, SharedEncoders())
        assert remembered.exists
        registry = IndexRegistry(["index"], executor, model="me/x")
        for encoder in (remembered, registry.find(None).encoder):
            assert encoder.load().model.fingerprint() == index.fingerprints["model"]
        registry.close()
    assert main(["info", "me/x", "--verify"]) == 0
    out, err = capsys.readouterr()
    assert "as written" in out
    assert err == ""


def test_the_command_says_how_to_load_what_it_pushed(hub, capsys):
    assert main(["push", "model", "me/x", "--private", "--revision", "v1"]) == 0
    out, err = capsys.readouterr()
    commit = hub.repositories["me/x"]["branches"]["v1"][:12]
    lines = [f"{hub.url}/me/x: model, commit {commit}", "vtsearch encode photos --model me/x@v1 --output codes"]
    assert (out.splitlines(), err) == (lines, "")


@pytest.mark.slow
def test_programs_reach_the_hub_that_the_environment_names(hub, folder, model):
    def vtsearch(*words, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "vtsearch", *words],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | variables,
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = vtsearch("push", "model", "me/x")
    assert (code, err) == (0, "")
    assert out.startswith(f"{hub.url}/me/x: model, commit ")
    code, out, err = vtsearch("info", "me/x")
    assert (code, err) == (0, "")
    assert model.fingerprint() in out
    code, out, err = vtsearch("info", "me/y", HF_HUB_OFFLINE="1")
    assert (code, out) == (2, "")
    assert err == f"vtsearch info: me/y: no such folder; {hub.url} cannot be reached, and its cache has no copy\n"
