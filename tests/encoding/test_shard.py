from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vtsearch import VtsearchError
from vtsearch.cli import main
from vtsearch.data.selection import select_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.shard import encode_shard
from vtsearch.index import Index
from vtsearch.models import save_model


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (32, 40, 3), dtype=np.uint8)).save(tmp_path / "pictures" / name)
    return tmp_path / "pictures"


def test_an_index_holds_the_codes_with_ids_labels_and_fingerprints(tiny_model, pictures, tmp_path):
    encoder, images = Encoder(tiny_model, precision="fp32"), select_images([str(pictures)])
    assert encode_shard(encoder, images, tmp_path / "index", description={"model": "here"}) == (3, 0)
    with Index.open(tmp_path / "index") as index:
        np.testing.assert_array_equal(index.codes(), encoder.encode(images.source))
        assert index.ids() == ["cat/1.png", "cat/2.png", "dog/1.png"]
        assert index.labels().tolist() == [0, 0, 1]
        assert index.fingerprints == encoder.fingerprints
        assert index.description == {"folder": str(pictures), "model": "here"}


def test_a_failed_encoding_leaves_the_index_that_was_there(tiny_model, pictures, tmp_path):
    encoder, images = Encoder(tiny_model), select_images([str(pictures)])
    encode_shard(encoder, images, tmp_path / "index")
    (pictures / "dog/1.png").write_text("hello")
    with pytest.raises(VtsearchError, match="cannot read image"):
        encode_shard(encoder, images, tmp_path / "index", overwrite=True, strict=True)
    with Index.open(tmp_path / "index") as index:
        assert len(index) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "pictures"]


@pytest.mark.parametrize(("ours", "theirs"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_codes_of_another_arithmetic_are_refused_with_the_remedy(tiny_model, pictures, tmp_path, ours, theirs):
    images, other = select_images([str(pictures)]), Encoder(tiny_model, precision=theirs)
    encode_shard(Encoder(tiny_model, precision=ours), images, tmp_path / "index")
    with Index.open(tmp_path / "index") as index, pytest.raises(VtsearchError) as error:
        index.add(other.encode(images.source), ["a", "b", "c"], fingerprints=other.fingerprints)
    assert str(error.value) == (
        f"fingerprints: {tmp_path / 'index'} has arithmetic {ours}, the given codes arithmetic {theirs}: they do not "
        f"belong together; encode with --precision {ours}, or Encoder(..., precision={ours!r}), for equal codes"
    )


def test_an_index_that_does_not_say_its_arithmetic_takes_either(tiny_model, tmp_path):
    encoder = Encoder(tiny_model)
    older = {name: value for name, value in encoder.fingerprints.items() if name != "arithmetic"}
    with Index.create(tmp_path / "index", encoder.bits, fingerprints=older) as index:
        index.check_fingerprints(encoder.fingerprints)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_search_encodes_an_image_in_the_arithmetic_of_the_index(tiny_model, pictures, tmp_path, precision, capsys):
    save_model(tiny_model, tmp_path / "model")
    words = ["--model", str(tmp_path / "model"), "--output", str(tmp_path / "index"), "--precision", precision]
    assert main(["encode", str(pictures), *words]) == 0
    assert precision in capsys.readouterr().out
    search = ["search", str(pictures / "dog/1.png"), "--index", str(tmp_path / "index"), "--json"]
    assert main(search) == 0
    code = Encoder(tiny_model, precision=precision).encode([pictures / "dog/1.png"]).tobytes().hex()
    assert f'"code": "{code}"' in capsys.readouterr().out


def test_search_draws_images_that_have_moved(tiny_model, pictures, tmp_path, capsys):
    encode_shard(Encoder(tiny_model), select_images([str(pictures)]), tmp_path / "index")
    pictures.rename(tmp_path / "moved")
    words = ["search", "dog/1.png", "--index", str(tmp_path / "index"), "--picture", str(tmp_path / "answers.png")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert f"its images were in {pictures}, which does not exist" in error
    assert "--images FOLDER" in error
    assert main([*words, "--images", str(tmp_path / "moved")]) == 0
    assert (tmp_path / "answers.png").is_file()


def test_search_shows_the_answers_though_an_image_is_gone(tiny_model, pictures, tmp_path, capsys):
    encode_shard(Encoder(tiny_model), select_images([str(pictures)]), tmp_path / "index")
    words = ["search", "dog/1.png", "--index", str(tmp_path / "index")]
    assert main(words) == 0
    answers = capsys.readouterr().out
    (pictures / "cat/2.png").unlink()
    assert main([*words, "--picture", str(tmp_path / "answers.png")]) == 0
    said = capsys.readouterr()
    assert said.out == answers
    assert "vtsearch search: a tile with the name stands for 1 image that cannot be read, such as cat/2.png" in said.err
    with Image.open(tmp_path / "answers.png") as picture:
        assert picture.width > 200


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_search_shows_the_answers_before_it_names_a_folder_that_has_moved(tiny_model, pictures, tmp_path, capsys, form):
    encode_shard(Encoder(tiny_model), select_images([str(pictures)]), tmp_path / "index")
    words = ["search", "dog/1.png", "--index", str(tmp_path / "index"), *form]
    assert main(words) == 0
    answers = capsys.readouterr().out
    pictures.rename(tmp_path / "moved")
    assert main([*words, "--picture", str(tmp_path / "answers.png")]) == 2
    said = capsys.readouterr()
    assert said.out == answers
    assert "--images FOLDER" in said.err


def test_evaluate_reports_without_pictures_and_with_images_that_have_moved(tiny_model, pictures, tmp_path, capsys):
    encode_shard(Encoder(tiny_model), select_images([str(pictures)]), tmp_path / "index")
    index, report = str(tmp_path / "index"), tmp_path / "report"
    words = ["evaluate", "--queries", index, "--database", index, "--report", str(report)]
    assert main(words) == 0
    numbers = capsys.readouterr().out
    assert (report / "retrievals.png").is_file()
    (report / "retrievals.png").unlink()
    pictures.rename(tmp_path / "moved")
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out == numbers
    assert f"the report has no pictures: {index}: its images were in {pictures}" in said.err
    assert not (report / "retrievals.png").exists()
    (tmp_path / "moved/cat/1.png").unlink()
    assert main([*words, "--images", str(tmp_path / "moved")]) == 0
    said = capsys.readouterr()
    assert said.out == numbers
    assert "a tile with the name stands for 1 image that cannot be read, such as cat/1.png" in said.err
    assert (report / "retrievals.png").is_file()
