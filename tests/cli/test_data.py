from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from dataset_fixtures import CLASSES, FORMATS, cifar10

from vtsearch.cli import main
from vtsearch.data import PROTOCOLS
from vtsearch.data.locate import ImageLocator
from vtsearch.index import Index
from vtsearch.models import ModelConfig, build_model, save_model

TINY = [
    *("--backbone", "test_vit", "--no-pretrained", "--image-size", "32", "--bits", "12"),
    *("--epochs", "1", "--precision", "fp32", "--batch-size", "4", "--baselines", "false"),
]
PROTOCOL = {
    "coco": "mscoco@5000",
    "nuswide": "nuswide21@5000",
    "imagenet": "imagenet100@1000",
    "voc2012": "voc2012",
    "mirflickr": "mirflickr",
}


def said(capsys, *words):
    """The exit code and what is printed."""
    capsys.readouterr()
    code = main(["data", *map(str, words)])
    return code, capsys.readouterr().out


def test_the_list_has_every_protocol_with_its_numbers(capsys):
    code, out = said(capsys, "list")
    assert code == 0
    table = out.partition("\n\n")[0].splitlines()[1:]
    lines = {line.split()[0]: line for line in table}
    assert list(lines) == list(PROTOCOLS)
    assert "5,000  10,000   117,218       80  mAP@5000, train in the database" in lines["mscoco@5000"]
    assert lines["cifar10@54000"].endswith("mAP@all")
    assert "  from  https://cocodataset.org/#download" in out


def test_the_list_is_json_on_request(capsys):
    rows = {row["protocol"]: row for row in json.loads(said(capsys, "list", "--json")[1])}
    assert rows.keys() == PROTOCOLS.keys()
    assert (rows["nuswide21@5000"]["database"], rows["nuswide21@5000"]["k"]) == (193_734, 5_000)
    assert rows["mirflickr"]["train_in_database"] is False


def test_a_clean_copy_is_code_0_with_a_line_per_check(capsys, tmp_path):
    FORMATS["lists"].build(tmp_path)
    code, out = said(capsys, "check", tmp_path)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == str(tmp_path)
    assert [line.split()[:2] for line in lines[1:-1]] == [
        ["ok", check] for check in ("counts", "files", "labels", "repeats", "leakage", "split")
    ]
    assert lines[-1] == "errors: 0, warnings: 0"


def test_findings_are_code_1_name_every_file_and_say_who_has_the_rest(capsys, tmp_path):
    made = FORMATS["lists"].build(tmp_path)
    for item in made[3:8]:
        (tmp_path / item.name).unlink()
    code, out = said(capsys, "check", "mirflickr", tmp_path)
    assert code == 1
    lines = out.splitlines()
    at = lines.index("error  files    5 of 12 images are missing")
    for item, line in zip([*made[3:8]], sorted(lines[at + 1 : at + 6]), strict=True):
        assert f"no such image: {tmp_path / item.name}" in line
    assert "no such image" not in lines[at + 6]
    assert "MIRFlickr-25K is offered by its publisher at https://press.liacs.nl/mirflickr/" in lines


def test_findings_are_json_on_request(capsys, tmp_path):
    made = FORMATS["csv"].build(tmp_path)
    (tmp_path / made[4].name).write_bytes(b"")
    code, out = said(capsys, "check", tmp_path, "--json")
    found = json.loads(out)
    assert (code, found["is_clean"]) == (1, False)
    (fault,) = [finding for finding in found["findings"] if finding["level"] == "error"]
    assert (fault["check"], fault["count"]) == ("files", 1)
    assert made[4].name in fault["examples"][0]


def test_quick_says_what_it_left_out(capsys, tmp_path):
    made = FORMATS["parquet"].build(tmp_path)
    whole = (tmp_path / made[4].name).read_bytes()
    (tmp_path / made[4].name).write_bytes(whole[:300])
    assert said(capsys, "check", tmp_path)[0] == 1
    code, out = said(capsys, "check", tmp_path / "manifest.parquet", "--quick")
    assert code == 0
    assert "--quick: not decoded" in out
    assert "--quick: contents not compared" in out


def test_a_check_does_without_torch(tmp_path):
    FORMATS["folders"].build(tmp_path)
    code = (
        "import sys; from vtsearch.cli import main;"
        f"assert main(['data', 'check', {str(tmp_path)!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.slow
def test_a_made_split_is_checked_and_trained_on(capsys, tmp_path):
    FORMATS["folders"].build(tmp_path / "photos")
    words = ["--queries-per-class", "1", "--train-per-class", "2", "--seed", "3"]
    code, out = said(capsys, "make", tmp_path / "photos", "--output", tmp_path / "split", *words)
    assert code == 0
    assert out.startswith(f"{tmp_path / 'split'}: 3 query, 6 train, 9 database (seed 3, split ")
    assert out.splitlines()[1] == f"vtsearch train --protocol {tmp_path / 'split'}"
    assert said(capsys, "check", tmp_path / "split")[0] == 0
    run = tmp_path / "run"
    assert main(["train", "--protocol", str(tmp_path / "split"), *TINY, "--output", str(run)]) == 0
    with Index.open(run / "codes/query") as index:
        assert index.classes == ("cat", "dog", "owl")
        assert sorted(index.labels().tolist()) == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("form", [*FORMATS, "cifar10"])
def test_every_format_is_trained_on_and_a_small_copy_is_never_called_published(capsys, tmp_path, form):
    data = tmp_path / "data"
    if form == "cifar10":
        cifar10(data)
        name = "cifar10@54000"
    else:
        FORMATS[form].build(data)
        name = PROTOCOL.get(form, str(data) if form == "folders" else "mscoco@5000")
    run = tmp_path / "run"
    where = [] if form == "folders" else ["--data", str(data)]
    assert main(["train", "--protocol", name, *where, *TINY, "--output", str(run)]) == 0
    seen = capsys.readouterr()
    report = (run / "report.md").read_text()
    result = json.loads((run / "result.json").read_text())
    if form == "folders":
        assert "warning" not in seen.err + seen.out + report
        assert result["remark"] == ""
        return
    warning = f"not the published {name}: "
    assert f"warning: this is {warning}" in seen.err
    assert f"warning: this is {warning}" in seen.out
    assert f"**This is {warning}" in report
    assert f"protocol {name} (not as published)" in report
    assert result["remark"].startswith(warning)
    assert json.loads((run / "report.json").read_text())["context"]["remark"] == result["remark"]
    sides = ["--queries", str(run / "codes/query"), "--database", str(run / "codes/database")]
    assert main(["evaluate", *sides, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remark"] == result["remark"]


@pytest.mark.slow
def test_training_prints_what_was_taken_in_doubt_and_finds_the_stripped_images_again(capsys, tmp_path):
    made = FORMATS["class lists"].build(tmp_path / "data")
    renamed = [replace(item, name=f"/author/{item.name}", labels=(0, *item.labels)) for item in made]
    FORMATS["class lists"].write(tmp_path / "data", renamed)
    words = ["--protocol", str(tmp_path / "data"), "--strip-prefix", "/author", "--output", str(tmp_path / "run")]
    assert main(["train", *words, *TINY]) == 0
    assert "warning: classes: the numbers go from 0 to 3, and 1 of them have no image: 0" in capsys.readouterr().err
    with Index.open(tmp_path / "run/codes/query") as index:
        assert index.ids() == [item.name for item in made[:3]]
        assert ImageLocator.of(index).load(0).size == (24, 24)


def test_encoded_parts_remember_that_they_are_not_the_published_ones(capsys, tmp_path):
    FORMATS["coco"].build(tmp_path / "data")
    words = ["--protocol", "mscoco@5000", "--data", str(tmp_path / "data")]
    assert main(["train", *words, *TINY, "--output", str(tmp_path / "run")]) == 0
    model = tmp_path / "run/final"
    given = [
        "mscoco@5000",
        "--data",
        str(tmp_path / "data"),
        "--model",
        str(model),
        "--output",
        str(tmp_path / "codes"),
    ]
    assert main(["encode", *given]) == 0
    with Index.open(tmp_path / "codes") as index:
        assert index.description["remark"].startswith("not the published mscoco@5000")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_images_of_a_table_are_encoded_and_found_again(tmp_path, form):
    made = FORMATS[form].build(tmp_path)
    torch.manual_seed(0)
    save_model(build_model(ModelConfig("test_vit", 12, image_size=32, pretrained=False)), tmp_path / "model")
    words = [
        str(tmp_path / f"manifest.{form}"),
        "--model",
        str(tmp_path / "model"),
        "--output",
        str(tmp_path / "codes"),
    ]
    assert main(["encode", *words]) == 0
    with Index.open(tmp_path / "codes") as index:
        assert index.ids() == [item.name for item in made]
        assert index.classes == CLASSES
        assert ImageLocator.of(index).load(3).size == (24, 24)
