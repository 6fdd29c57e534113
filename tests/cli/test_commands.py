from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vtsearch import bootstrap_interval, compare, reference
from vtsearch.cli import main
from vtsearch.cli.code_inputs import load_array
from vtsearch.data import open_dataset
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model

BITS = 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    save_model(build_model(ModelConfig("test_vit", BITS, image_size=32, pretrained=False)), folder)
    return folder


@pytest.fixture(scope="module")
def codes(model, tmp_path_factory):
    """Indexes of the digits' query and database."""
    folder = tmp_path_factory.mktemp("codes")
    for part in ("query", "database"):
        assert main(["encode", "digits", "--part", part, "--model", str(model), "--output", str(folder / part)]) == 0
    return folder


def printed(capsys, *words):
    """What a command prints, on stdout and stderr."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr()


def test_the_parts_of_a_protocol_are_encoded(codes, model):
    split, source = (data := open_dataset("digits")).split, data.source
    for part, positions in (("query", split.query), ("database", split.database)):
        with Index.open(codes / part) as index:
            index.verify()
            assert index.ids() == [source.id(int(position)) for position in positions]
            assert index.labels().tolist() == source.labels[positions].tolist()
            assert index.classes == source.classes
            assert set(index.fingerprints) == {"model", "preprocessing", "arithmetic", "split"}
            assert index.fingerprints["split"] == data.fingerprint
            assert index.description["model"] == str(model)


def test_codes_do_not_depend_on_the_batch_size(codes, model, tmp_path):
    main(
        [
            "encode",
            "digits",
            "--part",
            "query",
            "--model",
            str(model),
            "--output",
            str(tmp_path / "q"),
            "--batch-size",
            "7",
        ]
    )
    with Index.open(codes / "query") as one, Index.open(tmp_path / "q") as other:
        assert one.codes().tolist() == other.codes().tolist()


def test_encoding_says_how_much_and_how_fast(model, tmp_path, capsys):
    said = printed(capsys, "encode", "digits", "--part", "query", "--model", model, "--output", tmp_path / "q")
    assert re.search(rf"q: 100 codes of {BITS} bits, model [0-9a-f]{{12}}, (bf16|fp32)\n$", said.out)
    assert re.fullmatch(r"[\d,]+ images/s; decoding [\d.]+ s, model [\d.]+ s, waiting for images [\d.]+ s\n", said.err)


@pytest.fixture
def pictures(tmp_path):
    """A folder with two classes of three images."""
    draw = np.random.default_rng(0)
    for name in ("cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png", "dog/3.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pictures"


def encoded(model, tmp_path, *words):
    assert main(["encode", *map(str, words), "--model", str(model), "--output", str(tmp_path / "index")]) == 0
    with Index.open(tmp_path / "index") as index:
        return index.ids(), index.labels(), index.classes


def test_a_folder_of_classes_is_encoded(model, pictures, tmp_path):
    ids, labels, classes = encoded(model, tmp_path, pictures)
    assert (ids[:2], classes) == (["cat/1.png", "cat/2.png"], ("cat", "dog"))
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_folder_without_classes_is_encoded_without_labels(model, pictures, tmp_path):
    assert encoded(model, tmp_path, pictures / "cat") == (["1.png", "2.png", "3.png"], None, ())


def test_encoding_says_what_was_left_out(model, pictures, tmp_path, capsys):
    (pictures / "cat/4.heic").write_text("x")
    (pictures / "5.png").write_bytes((pictures / "cat/1.png").read_bytes())
    capsys.readouterr()
    ids, labels, _ = encoded(model, tmp_path, pictures)
    warnings = [line for line in capsys.readouterr().err.splitlines() if ": warning: " in line]
    assert (len(ids), labels) == (7, None)
    assert "1 images lie beside the subfolders" in warnings[0]
    assert "1 files: 1 .heic" in warnings[1]


def test_a_list_of_another_computer_is_encoded(model, pictures, tmp_path):
    (tmp_path / "list.txt").write_text("/author/dog/1.png 0\n/author/cat/2.png 1\n")
    ids, labels, _ = encoded(model, tmp_path, tmp_path / "list.txt", "--data", pictures, "--strip-prefix", "/author")
    assert (ids, labels.tolist()) == (["dog/1.png", "cat/2.png"], [0, 1])


def test_a_list_is_encoded_with_several_labels_per_item(model, pictures, tmp_path):
    (tmp_path / "list.txt").write_text("cat/1.png 1 0 1\ndog/2.png 0 1 1\n")
    ids, labels, _ = encoded(model, tmp_path, tmp_path / "list.txt", "--data", pictures)
    assert (ids, labels.tolist()) == (["cat/1.png", "dog/2.png"], [[1, 0, 1], [0, 1, 1]])


def test_image_files_are_encoded_under_the_names_given(model, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(pictures)
    assert encoded(model, tmp_path, "dog/2.png", pictures / "cat/1.png")[0] == [
        "dog/2.png",
        str(pictures / "cat/1.png"),
    ]


def test_an_index_is_replaced_only_when_asked(model, pictures, tmp_path, capsys):
    encoded(model, tmp_path, pictures)
    words = ["encode", str(pictures / "cat"), "--model", str(model), "--output", str(tmp_path / "index")]
    assert main(words) == 2
    assert "output:" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    with Index.open(tmp_path / "index") as index:
        assert len(index) == 3
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_is_no_index_is_never_replaced(model, pictures, tmp_path, capsys):
    assert main(["encode", str(pictures), "--model", str(model), "--output", str(pictures), "--overwrite"]) == 2
    assert "output: expected an index to overwrite" in capsys.readouterr().err
    assert len(list(pictures.rglob("*.png"))) == 6


def test_a_failed_encoding_leaves_nothing(model, pictures, tmp_path):
    content = (pictures / "dog/3.png").read_bytes()
    (pictures / "dog/3.png").write_bytes(content[: len(content) // 2])
    words = ["encode", str(pictures), "--model", str(model), "--output", str(tmp_path / "index"), "--strict"]
    assert main(words) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]


@pytest.mark.parametrize("with_self", [False, True])
def test_an_item_finds_others_and_itself_when_asked(codes, capsys, with_self):
    with Index.open(codes / "database") as index:
        name, label = index.ids()[5], str(index.labels()[5])
        expected = index.search_items([name], 3, exclude=None if with_self else "self")
    words = ["search", name, "--index", codes / "database", "-k", "3", *["--with-self"][: int(with_self)]]
    lines = [line.split() for line in printed(capsys, *words).out.splitlines()]
    assert lines[0] == ["rank", "distance", "id", "label"]
    assert [line[2] for line in lines[1:]] == expected.ids[0]
    assert with_self or name not in expected.ids[0]
    assert all(line[3] == label for line in lines[1:] if line[2] == name)


def test_a_code_is_searched_as_the_library_does(codes, capsys):
    with Index.open(codes / "query") as queries, Index.open(codes / "database") as database:
        code, expected = queries.codes()[3], database.search(queries.codes()[3], 7)
        oracle = reference.rank(queries.codes()[3:4], database.codes(), 7)
    words = ["search", code.tobytes().hex(), "--index", codes / "database", "-k", "7", "--json"]
    (found,) = json.loads(printed(capsys, *words).out)["queries"]
    assert found["code"] == code.tobytes().hex()
    assert [answer["id"] for answer in found["answers"]] == expected.ids[0]
    assert [answer["distance"] for answer in found["answers"]] == oracle.distances[0].tolist()
    assert [answer["rank"] for answer in found["answers"]] == list(range(1, 8))


def test_an_image_is_encoded_with_the_model_that_made_the_index(model, pictures, tmp_path, capsys):
    encoded(model, tmp_path, pictures)
    words = ["search", pictures / "dog/2.png", "--index", tmp_path / "index", "--picture", tmp_path / "answers.png"]
    lines = printed(capsys, *words).out.splitlines()
    assert lines[1].split() == ["1", "0", "dog/2.png", "dog"]
    with Image.open(tmp_path / "answers.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 100


def test_a_folder_of_images_and_further_queries_are_searched_together(model, pictures, tmp_path, capsys):
    encoded(model, tmp_path, pictures)
    words = ["search", pictures / "dog", "cat/1.png", pictures / "cat/2.png", "--index", tmp_path / "index"]
    found = json.loads(printed(capsys, *words, "--json").out)["queries"]
    images = sorted((pictures / "dog").iterdir())
    assert [query["query"] for query in found] == [*map(str, images), "cat/1.png", str(pictures / "cat/2.png")]
    assert [query["answers"][0]["distance"] for query in found[:-2]] == [0] * len(images)
    assert "cat/1.png" not in [answer["id"] for answer in found[-2]["answers"]]
    lines = printed(capsys, *words, "-k", "1").out.split("\n\n")
    assert [part.splitlines()[0] for part in lines] == [query["query"] for query in found]
    printed(capsys, *words, "--picture", tmp_path / "answers.png")
    assert (tmp_path / "answers.png").stat().st_size > 5000


def test_an_image_of_ones_own_is_searched_among_published_ones(codes, pictures, capsys):
    lines = printed(capsys, "search", pictures / "dog/2.png", "--index", codes / "database").out.splitlines()
    assert "digits/" in lines[1]


@pytest.mark.parametrize("kind", ["protocol", "folder", "flat folder", "list", "files"])
def test_the_images_of_every_kind_of_index_are_found_again(kind, request, pictures, tmp_path, capsys):
    model, codes, monkeypatch = map(request.getfixturevalue, ("model", "codes", "monkeypatch"))
    (tmp_path / "list.txt").write_text("cat/1.png 1 0 1\ndog/2.png 0 1 1\n")
    words = {
        "folder": [pictures],
        "flat folder": [pictures / "cat"],
        "list": [tmp_path / "list.txt", "--data", pictures],
        "files": ["cat/1.png", "cat/2.png"],
    }
    index = codes / "database"
    if kind != "protocol":
        monkeypatch.chdir(pictures)
        encoded(model, tmp_path, *words[kind])
        monkeypatch.chdir(tmp_path)
        index = tmp_path / "index"
    with Index.open(index) as opened:
        name = opened.ids()[0]
    printed(capsys, "search", name, "--index", index, "--picture", tmp_path / "answers.png")
    assert (tmp_path / "answers.png").stat().st_size > 5000


def test_indexes_are_evaluated_as_the_reference_does(codes, tmp_path, capsys):
    words = ["--queries", codes / "query", "--database", codes / "database", "-k", "50"]
    said = printed(capsys, "evaluate", *words, "--json", "--report", tmp_path / "report")
    found = json.loads(said.out)
    with Index.open(codes / "query") as query, Index.open(codes / "database") as database:
        data = query.codes(), database.codes(), query.labels(), database.labels()
        split = query.fingerprints["split"]
        expected = reference.mean_average_precision(*data, 50)
    assert found["mean_average_precision"]["expected"] == pytest.approx(expected, rel=1e-12)
    assert (found["protocol"], found["split"], found["bits"]) == ("digits", split, BITS)
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "pr_curve.png",
        "report.html",
        "report.json",
        "report.md",
        "retrievals.png",
    ]
    assert "report.md" in said.err
    assert "report.html" in said.err
    text = printed(capsys, "evaluate", *words).out
    assert f"mAP@50        {expected:.6f}  expected" in text
    assert "protocol digits" in text


def test_arrays_of_codes_or_features_are_evaluated(tmp_path, capsys):
    draw = np.random.default_rng(0)
    features = [draw.normal(size=(n, 16)) for n in (5, 30)]
    labels = [draw.integers(0, 3, n) for n in (5, 30)]
    found = []
    for name, convert in (("features", np.asarray), ("codes", reference.pack)):
        for side, values, truth in zip("qd", features, labels, strict=True):
            np.save(tmp_path / f"{side}.npy", convert(values))
            np.save(tmp_path / f"{side}l.npy", truth)
        sides = ["--queries", tmp_path / "q.npy", "--database", tmp_path / "d.npy"]
        truths = ["--query-labels", tmp_path / "ql.npy", "--database-labels", tmp_path / "dl.npy"]
        found.append(printed(capsys, "evaluate", *sides, *truths, "--json", "--report", tmp_path / name).out)
        assert (tmp_path / name / "report.md").exists()
    assert found[0] == found[1]
    expected = reference.mean_average_precision(*map(reference.pack, features), *labels)
    assert json.loads(found[0])["mean_average_precision"]["expected"] == pytest.approx(expected)


def test_the_interval_over_queries_is_printed(codes, capsys):
    words = ["evaluate", "--queries", codes / "query", "--database", codes / "database"]
    interval = json.loads(printed(capsys, *words, "--json").out)["bootstrap_interval"]
    with Index.open(codes / "query") as query, Index.open(codes / "database") as database:
        scores = reference.average_precision(query.codes(), database.codes(), query.labels(), database.labels())
    expected = bootstrap_interval(scores)
    assert (interval["low"], interval["high"]) == pytest.approx((expected.low, expected.high), abs=1e-11)
    assert f"95 % interval {expected.low:.6f}  to {expected.high:.6f} for other" in printed(capsys, *words).out


@pytest.fixture(scope="module")
def other_codes(codes, tmp_path_factory):
    """Other codes of the same digits: shorter ones."""
    folder = tmp_path_factory.mktemp("other")
    for part in ("query", "database"):
        with Index.open(codes / part) as index, Index.create(folder / part, 8) as other:
            other.add(np.ascontiguousarray(index.codes()[:, :1]), index.ids(), index.labels())
            np.save(folder / f"{part}.npy", index.codes()[:, :1])
    return folder


@pytest.mark.parametrize("suffix", ["", pytest.param(".npy", marks=pytest.mark.slow)])
def test_codes_are_compared_with_others_of_the_same_items(codes, other_codes, tmp_path, capsys, suffix):
    words = ["evaluate", "--queries", codes / "query", "--database", codes / "database", "-k", "50"]
    against = [other_codes / f"{part}{suffix}" for part in ("query", "database")]
    out = printed(capsys, *words, "--against", *against, "--json", "--report", tmp_path).out
    with Index.open(codes / "query") as query, Index.open(codes / "database") as database:
        sides = query.codes(), database.codes()
        labels = {"query_labels": query.labels(), "db_labels": database.labels()}
        expected = compare(*sides, *(side[:, :1] for side in sides), **labels, k=50)
    found = json.loads(out)
    assert found["comparison"] == asdict(expected)
    assert found["against"] == " and ".join(map(str, against))
    assert json.loads((tmp_path / "report.json").read_text())["comparison"] == asdict(expected)
    assert f"## Against {found['against']}" in (tmp_path / "report.md").read_text()
    text = printed(capsys, *words, "--against", *against).out
    assert f"against       {expected.other_mean_average_precision:.6f}  mAP@50 of {found['against']}" in text
    difference, test = expected.difference, expected.test
    assert f"difference   {difference.mean:+.6f}  95 % interval {difference.low:+.6f} to {difference.high:+.6f}" in text
    assert f"p             {test.p_value:.6f}  that chance alone" in text
    assert f"better for {expected.better} queries, worse for {expected.worse}, equal for" in text


def test_arrays_are_compared_with_an_index_of_the_same_items(codes, other_codes, tmp_path, capsys):
    for side, part in (("q", "query"), ("d", "database")):
        with Index.open(codes / part) as index:
            np.save(tmp_path / f"{side}.npy", index.codes())
            np.save(tmp_path / f"{side}l.npy", index.labels())
    against = ["--against", other_codes / "query", other_codes / "database", "--json"]
    words = ["--queries", tmp_path / "q.npy", "--database", tmp_path / "d.npy"]
    truths = ["--query-labels", tmp_path / "ql.npy", "--database-labels", tmp_path / "dl.npy"]
    found = json.loads(printed(capsys, "evaluate", *words, *truths, *against).out)
    words = ["--queries", codes / "query", "--database", codes / "database"]
    assert found["comparison"] == json.loads(printed(capsys, "evaluate", *words, *against).out)["comparison"]


def test_names_that_nobody_gave_do_not_forbid_a_comparison(codes, tmp_path, capsys):
    for part in ("query", "database"):
        with Index.open(codes / part) as index, Index.create(tmp_path / part, 8) as other:
            other.add(np.ascontiguousarray(index.codes()[:, :1]))
    words = ["--queries", codes / "query", "--database", codes / "database"]
    assert (
        "difference" in printed(capsys, "evaluate", *words, "--against", tmp_path / "query", tmp_path / "database").out
    )


def test_queries_in_the_database_are_reported(codes, capsys):
    said = printed(capsys, "evaluate", "--queries", codes / "query", "--database", codes / "query")
    assert "warning: 100 of 100 queries are also in the database (such as digits/" in said.err
    assert said.out.startswith("mAP@all")


def test_names_that_nobody_gave_are_no_leakage(tmp_path, capsys):
    for name in ("a", "b"):
        with Index.create(tmp_path / name, 8) as index:
            index.add(np.arange(5, dtype=np.uint8)[:, None], labels=[0, 1, 0, 1, 1])
    assert printed(capsys, "evaluate", "--queries", tmp_path / "a", "--database", tmp_path / "b").err == ""


def test_info_describes_the_installation(capsys):
    facts = json.loads(printed(capsys, "info", "--json").out)
    assert facts["active"] in facts["instruction sets"]
    assert facts["numpy"] == np.__version__
    assert facts["torch"] == torch.__version__.partition("+")[0]
    assert facts["threads"] >= 1
    assert "instruction sets" in printed(capsys, "info").out


def test_info_describes_folders(model, codes, tmp_path, capsys):
    assert json.loads(printed(capsys, "info", model, "--json").out)["config"]["bits"] == BITS
    facts = json.loads(printed(capsys, "info", codes / "query", "--json").out)
    assert (facts["items"], facts["bits"], facts["protocol"]) == (100, BITS, "digits")
    printed(
        capsys, "evaluate", "--queries", codes / "query", "--database", codes / "database", "--report", tmp_path / "r"
    )
    assert json.loads(printed(capsys, "info", tmp_path / "r", "--json").out)["database"] == 1197
    assert "mAP" in printed(capsys, "info", tmp_path / "r").out


@pytest.mark.slow
def test_the_demo_trains_and_says_where_to_look(tmp_path, capsys):
    out = printed(capsys, "demo", "--output", tmp_path / "demo", "--epochs", "1", "--bits", "8").out
    assert "trained model" in out
    assert "random codes" in out
    places = [line for line in out.splitlines() if str(tmp_path / "demo") in line]
    assert places[0] == f"report   {tmp_path / 'demo' / 'report.html'}"
    for name in ("report.html", "retrievals.png", "pr_curve.png", "final", "codes/database"):
        assert str(tmp_path / "demo" / name) in out
        assert (tmp_path / "demo" / name).exists()
    command = next(line for line in out.splitlines() if line.startswith("  vtsearch search")).split()[1:]
    assert "label" in printed(capsys, *command).out
    assert (tmp_path / "demo" / "answers.png").exists()
    command = next(line for line in out.splitlines() if line.startswith("  vtsearch evaluate")).split()[1:]
    assert "mAP@100" in printed(capsys, *command).out
    assert "vit_tiny_patch16_224" in printed(capsys, "info", tmp_path / "demo").out


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\x93NUMPY", "damaged"), (b"words", "something else"), (None, "a single number")],
)
def test_arrays_that_are_none_are_named(tmp_path, content, message):
    path = tmp_path / "codes.npy"
    np.save(path, np.int64(3))
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VtsearchError, match=rf"codes\.npy: .*{message}"):
        load_array(str(path))


def test_a_truncated_array_is_named(tmp_path):
    path = tmp_path / "codes.npy"
    np.save(path, np.zeros((50, 8), np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(VtsearchError, match=r"codes\.npy: .*damaged"):
        load_array(str(path))


@pytest.mark.skipif("VTSEARCH_DATA" not in os.environ, reason="needs real data: set VTSEARCH_DATA")
def test_real_codes_have_the_published_scores(capsys):
    folder = Path(os.environ["VTSEARCH_DATA"]) / "ucf101-csq64"
    words = ["evaluate", "--queries", folder / "query_features.npy", "--database", folder / "database_features.npy"]
    words += ["--query-labels", folder / "query_labels.npy", "--database-labels", folder / "database_labels.npy"]
    for k, expected in ((["-k", "100"], 0.873988), ([], 0.845884)):
        found = json.loads(printed(capsys, *words, *k, "--json").out)
        assert found["mean_average_precision"]["index"] == pytest.approx(expected, abs=1e-6)
