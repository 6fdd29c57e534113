"""A run whose database codes are learned beside the network, from the images to the written codes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vtsearch import mean_average_precision, pack
from vtsearch.data import open_dataset
from vtsearch.encoding import Encoder
from vtsearch.frameworks.adsh import ADSHOptions
from vtsearch.index import Index
from vtsearch.models import load_model
from vtsearch.training import run_folder as files
from vtsearch.training.checkpoint import load_state
from vtsearch.training.evaluator import ModelEvaluator
from vtsearch.training.loop import train
from vtsearch.training.metrics_log import read_metrics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def asymmetric(tiny_config):
    return replace(
        tiny_config,
        model=replace(tiny_config.model, bits=16, head="cls", hidden=1024),
        framework="adsh",
        options=ADSHOptions(sample=900, epochs_per_sample=2),
        epochs=8,
        batch_size=50,
    )


@pytest.fixture(scope="module")
def finished(asymmetric, tmp_path_factory):
    folder = tmp_path_factory.mktemp("asymmetric") / "run"
    return folder, train(asymmetric, folder)


def database_index(folder):
    return Index.open(folder / files.CODES / "database")


def test_learned_codes_rank_far_better_than_the_untrained_model(finished):
    _, result = finished
    assert result.baselines["untrained model"]["expected"] < 0.3
    assert result.final["expected"] > 0.65
    assert result.symmetric["expected"] > 0.55


def test_database_codes_are_those_of_the_framework_in_the_databases_order(finished):
    folder, result = finished
    data, state = open_dataset("digits"), load_state(folder / files.LAST)
    with database_index(folder) as index:
        np.testing.assert_array_equal(index.codes(), pack(state["framework"]["codes"].numpy()))
        np.testing.assert_array_equal(index.labels(), data.source.labels[data.split.database])
        assert index.description["codes"] == result.database_codes == "learned, asymmetric"
        assert "compatible" in index.description["new images"]
        assert index.fingerprints["model"] == load_model(folder / files.FINAL).fingerprint()


def test_both_numbers_are_those_of_the_codes_that_they_are_said_to_be_of(finished, asymmetric):
    folder, result = finished
    data, model = open_dataset("digits"), load_model(folder / files.FINAL)
    labels = [data.source.labels[part] for part in (data.split.query, data.split.database)]
    query, database = (
        Encoder(model, precision=asymmetric.precision).encode(data.source, part)
        for part in (data.split.query, data.split.database)
    )
    assert result.symmetric["expected"] == mean_average_precision(query, database, *labels)
    with database_index(folder) as index:
        learned = np.array(index.codes())
    assert result.final["expected"] == mean_average_precision(query, learned, *labels)
    assert not np.array_equal(learned, database)


def test_the_report_says_how_the_database_came_to_its_codes(finished):
    folder, result = finished
    report = json.loads((folder / "report.json").read_text())
    assert report["context"]["database_codes"] == "learned, asymmetric"
    assert report["context"]["symmetric"] == result.symmetric["expected"]
    page = (folder / "report.html").read_text()
    assert "the codes of the database are learned, asymmetric; encoded by the model like the queries" in page
    text = (folder / "report.md").read_text()
    assert "| database codes | learned, asymmetric |" in text
    assert (
        f"| symmetric use (expected): the model encodes the database too | {result.symmetric['expected']:.6f} |" in text
    )


def test_an_epoch_is_the_sample_and_the_whole_database_is_known(finished):
    folder, result = finished
    steps = [event["step"] for event in read_metrics(folder / files.METRICS) if event["event"] == "epoch"]
    assert steps == list(range(18, 8 * 18 + 1, 18))
    assert load_state(folder / files.LAST)["framework"]["labels"].shape == (1197, 10)
    assert result.images_per_second == pytest.approx(8 * 900 / result.seconds, rel=0.1)


def test_evaluations_on_the_way_are_asymmetric_too(asymmetric, tmp_path):
    config = replace(asymmetric, epochs=2, evaluate_every=1, baselines=False)
    result = train(config, tmp_path / "run")
    first, symmetric, last = (
        event for event in read_metrics(tmp_path / "run" / files.METRICS) if event["event"] == "evaluation"
    )
    assert [event["on"] for event in (first, symmetric, last)] == ["query", "query, symmetric", "query"]
    assert first["expected"] == pytest.approx(0.1, abs=0.05)  # codes that no sweep has touched are coin flips
    assert last["expected"] == result.final["expected"] > 0.1


def test_an_evaluation_that_is_interrupted_does_not_move_the_codes_twice(asymmetric, tmp_path, monkeypatch):
    options = ADSHOptions(sample=300, epochs_per_sample=1)
    config = replace(asymmetric, options=options, epochs=2, evaluate_every=1, baselines=False)
    whole = train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(ModelEvaluator, "on_protocol", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "interrupted")
    again = train(config, tmp_path / "interrupted", resume=True)
    codes = [load_state(tmp_path / run / files.LAST)["framework"]["codes"] for run in ("whole", "interrupted")]
    np.testing.assert_array_equal(*codes)
    assert again.final == whole.final


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["validation", "thresholds"])
def test_what_needs_codes_of_the_model_is_refused(asymmetric, tmp_path, name):
    with pytest.raises(ValueError) as error:
        train(replace(asymmetric, evaluate_every=1, **{name: 0.1}), tmp_path / "run")
    assert str(error.value) == f"{name}: expected 0 with adsh, which learns the code of every database image, got 0.1"
    assert list(tmp_path.iterdir()) == []


def test_symmetric_runs_do_not_mention_it(tiny_config, tmp_path):
    result = train(replace(tiny_config, epochs=1, baselines=False), tmp_path / "run")
    assert (result.database_codes, result.symmetric) == ("encoded by the model", None)
    assert "symmetric use" not in (tmp_path / "run" / "report.md").read_text()
