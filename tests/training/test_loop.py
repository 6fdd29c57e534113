from __future__ import annotations

import io
import json
import resource
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from accelerate.utils import set_seed

from vtsearch import evaluate, mean_average_precision, prefix, vote_accuracy
from vtsearch.data import load_split, open_dataset, save_split
from vtsearch.data.pictures import image_loader
from vtsearch.encoding import Encoder
from vtsearch.errors import VtsearchError
from vtsearch.frameworks import FRAMEWORKS
from vtsearch.index import Index
from vtsearch.models import build_model, load_model
from vtsearch.reports import write_html_report
from vtsearch.training import run_folder as files
from vtsearch.training.config import OptimizerConfig, ScheduleConfig
from vtsearch.training.devices import accelerator_for
from vtsearch.training.evaluator import ModelEvaluator
from vtsearch.training.loop import train
from vtsearch.training.metrics_log import read_metrics
from vtsearch.training.progress import Progress
from vtsearch.training.result import read_best, read_result, score
from vtsearch.training.sampler import MODEL_SEED, derived_seed
from vtsearch.training.setup import hold_out


@pytest.fixture(scope="module")
def finished(tiny_config, tmp_path_factory):
    """(folder, result, what a person saw) of a run with an evaluation in between."""
    folder = tmp_path_factory.mktemp("loop") / "run"
    seen = io.StringIO()
    config = replace(tiny_config, evaluate_every=1)
    return config, folder, train(config, folder, progress=seen), seen.getvalue()


def test_training_beats_both_baselines(finished):
    _, _, result, _ = finished
    assert result.final["expected"] > result.baselines["untrained model"]["expected"]
    assert result.final["expected"] > result.baselines["random codes"]["expected"]
    assert result.baselines["random codes"]["expected"] == pytest.approx(0.1, abs=0.02)


def test_baselines_are_those_of_the_model_before_it_was_trained(finished):
    config, _, result, _ = finished
    data = open_dataset("digits")
    set_seed(derived_seed(config.seed, MODEL_SEED))
    model = build_model(config.model)
    codes = [
        Encoder(model, precision="fp32").encode(data.source, part) for part in (data.split.query, data.split.database)
    ]
    labels = [data.source.labels[part] for part in (data.split.query, data.split.database)]
    assert result.baselines["untrained model"]["expected"] == mean_average_precision(*codes, *labels)
    assert result.baselines["pooled features"]["expected"] > 0.15


def test_every_score_has_its_tie_bounds(finished):
    _, _, result, _ = finished
    for scores in (result.final, *result.baselines.values()):
        assert scores["worst"] <= scores["expected"] <= scores["best"]


def test_the_journal_tells_the_run_in_order(finished):
    _, folder, _, _ = finished
    events = read_metrics(folder / files.METRICS)
    kinds = [event["event"] for event in events]
    steps_of_an_epoch = ["step"] * 4
    assert kinds == [
        *["baseline"] * 4,
        *steps_of_an_epoch,
        "epoch",
        "evaluation",
        *steps_of_an_epoch,
        "epoch",
        "evaluation",
    ]
    assert [event["step"] for event in events if event["event"] == "step"] == list(range(2, 17, 2))


def test_a_person_without_a_terminal_sees_a_line_per_epoch_and_evaluation(finished):
    *_, seen = finished
    lines = seen.splitlines()
    assert lines[0].startswith("digits: 500 train, 100 query, 1,197 database; 1 x ")
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "untrained model",
        "pooled features",
        "linear classifier",
        "random codes",
        "epoch 1/2 on query",
        "epoch 1/2",
        "epoch 2/2",
        "epoch 2/2 on query",
    ]
    assert "images/s" in lines[6]
    assert "left" in lines[6]
    assert "by order of ties" in lines[5]


@pytest.mark.slow
def test_a_disk_that_fills_up_costs_nothing_but_time(finished, tmp_path):
    config, folder, result, _ = finished
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, hard))  # the state outgrows it with the optimizer's first step
    try:
        with pytest.raises(OSError, match=r"could not write .*last: File too large; the previous one is intact"):
            train(config, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = train(config, tmp_path / "run", resume=True)
    assert again.final == result.final
    weights = [load_model(run / files.FINAL).fingerprint() for run in (folder, tmp_path / "run")]
    assert weights[0] == weights[1]


def test_the_codes_are_indexes_that_the_final_model_makes_again(finished):
    config, folder, _, _ = finished
    data, model = open_dataset("digits"), load_model(folder / files.FINAL)
    for part, positions in (("query", data.split.query), ("database", data.split.database)):
        with Index.open(folder / files.CODES / part) as index:
            codes = Encoder(model, precision=config.precision).encode(data.source, positions)
            np.testing.assert_array_equal(index.codes(), codes)
            np.testing.assert_array_equal(index.labels(), data.source.labels[positions])
            assert index.fingerprints["model"] == model.fingerprint()
            assert index.fingerprints["split"] == data.fingerprint


def test_the_report_holds_the_scores_and_the_baselines(finished):
    _, folder, result, _ = finished
    report = json.loads((folder / "report.json").read_text())
    assert report["evaluation"]["mean_average_precision"] | {"vote": report["evaluation"]["vote"]} == result.final
    assert report["context"]["baselines"] == {name: s["expected"] for name, s in result.baselines.items()}
    assert (folder / "report.md").exists()


def test_the_html_report_is_the_one_of_the_finished_folder(finished, tmp_path):
    _, folder, _, _ = finished
    again = write_html_report([folder], tmp_path / "report.html", images=image_loader, titles=FRAMEWORKS)
    assert (folder / "report.html").read_bytes() == again.read_bytes()


def test_the_best_model_is_the_one_of_the_best_evaluation(finished):
    _, folder, result, _ = finished
    scores = {e["epoch"]: e["expected"] for e in read_metrics(folder / files.METRICS) if e["event"] == "evaluation"}
    assert result.best_epoch == max(scores, key=scores.__getitem__)
    assert result.best == max(scores.values())
    same = load_model(folder / files.BEST).fingerprint() == load_model(folder / files.FINAL).fingerprint()
    assert same == (result.best_epoch == 2)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_scores_of_the_best_epoch_stand_beside_those_of_the_last(tiny_config, tmp_path, share):
    overshooting = {"optimizer": OptimizerConfig(lr=0.3), "schedule": ScheduleConfig(name="cosine", warmup=0.9)}
    config = replace(tiny_config, **overshooting, epochs=4, validation=share, evaluate_every=1, baselines=False)
    run = tmp_path / "run"
    result = train(config, run)
    assert result.best_epoch < result.epochs
    data = open_dataset("digits", seed=config.seed)
    judge = ModelEvaluator(load_model(run / files.BEST), data, accelerator_for("fp32"), Progress(None), "fp32")
    _, evaluation = judge.on_protocol()
    assert result.chosen == score(evaluation)
    assert result.chosen["expected"] != result.final["expected"]
    assert read_best(run) == evaluation
    assert (result.best == result.chosen["expected"]) == (share == 0.0)


@pytest.mark.slow
def test_the_last_epoch_may_be_the_best(tiny_config, tmp_path):
    result = train(replace(tiny_config, baselines=False), tmp_path / "run")
    assert result.best_epoch == result.epochs
    assert result.chosen == result.final
    assert score(read_best(tmp_path / "run")) == result.final


def test_a_finished_run_is_not_run_again(finished):
    config, folder, result, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert train(config, folder, resume=True) == result
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.parametrize("name", [files.FINAL, files.CODES])
def test_a_finished_run_without_a_part_writes_it_again(finished, tmp_path, name):
    config, folder, result, _ = finished
    run, seen = tmp_path / "run", io.StringIO()
    shutil.copytree(folder, run)
    shutil.rmtree(run / name)
    assert train(config, run, resume=True, progress=seen) == result
    assert f"the run is finished and {name}/ is missing; evaluating again to write it" in seen.getvalue()
    assert files.missing_parts(run) == []


@pytest.mark.parametrize("names", [(files.BEST,), (files.FINAL, files.LAST)])
def test_a_finished_run_without_what_cannot_be_written_again_says_so(finished, tmp_path, names):
    config, folder, _, _ = finished
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    for name in names:
        shutil.rmtree(run / name)
    with pytest.raises(VtsearchError, match=f"finished and {names[0]}/ is missing, which cannot be written again"):
        train(config, run, resume=True)


@pytest.mark.parametrize("name", [files.RESULT, files.BEST_SCORES])
def test_scores_that_were_changed_are_refused(finished, tmp_path, name):
    _, folder, _, _ = finished
    content = (folder / name).read_text()
    (tmp_path / name).write_text(content.replace("0.", "1.", 1))
    with pytest.raises(VtsearchError, match=f"{name}: changed since it was written"):
        {files.RESULT: read_result, files.BEST_SCORES: read_best}[name](tmp_path)


def test_a_configuration_that_was_changed_is_refused(finished, tmp_path):
    config, folder, _, _ = finished
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    (run / files.RESULT).unlink()
    other = replace(config, seed=3)
    (run / files.CONFIG).write_text(json.dumps(files.plain(other)))
    with pytest.raises(VtsearchError, match=r"config\.yaml: not the configuration that this run was started with"):
        train(other, run, resume=True)


@pytest.mark.slow
def test_values_that_do_nothing_are_announced(tiny_config, tmp_path):
    seen = io.StringIO()
    config = replace(tiny_config, data="elsewhere", epochs=1, baselines=False)
    train(config, tmp_path / "run", progress=seen)
    line = "warning: data: 'elsewhere' does nothing, because the protocol names its images itself"
    assert line in seen.getvalue().splitlines()


@pytest.mark.slow
def test_arithmetic_that_the_processor_lacks_is_announced(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    line = "warning: this device has no bfloat16 instructions; --precision fp32 is faster on it"
    for precision in ("bf16", "auto"):
        seen = io.StringIO()
        config = replace(tiny_config, precision=precision, epochs=1, baselines=False)
        train(config, tmp_path / precision, progress=seen)
        assert (line in seen.getvalue().splitlines()) == (precision == "bf16")


@pytest.mark.slow
def test_a_run_that_was_killed_while_it_wrote_its_report_concludes_again(finished, tmp_path):
    config, folder, result, _ = finished
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / files.RESULT).unlink()
    assert train(config, tmp_path / "run", resume=True) == result
    journals = [(place / files.METRICS).read_text() for place in (folder, tmp_path / "run")]
    assert journals[0] == journals[1]


def test_a_split_that_is_not_the_runs_is_refused(finished, tmp_path):
    config, folder, _, _ = finished
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    (run / files.RESULT).unlink()
    save_split(open_dataset("digits", seed=5).split, run / files.SPLIT)
    with pytest.raises(VtsearchError, match="not the split and labels that this run was trained with"):
        train(config, run, resume=True)


def test_the_split_of_a_run_is_its_seeds(finished):
    config, folder, _, _ = finished
    assert load_split(folder / files.SPLIT) == open_dataset("digits", seed=config.seed).split


def test_a_started_folder_is_refused_without_resume(finished):
    config, folder, _, _ = finished
    with pytest.raises(FileExistsError, match="--resume"):
        train(config, folder)


@pytest.mark.slow
def test_validation_chooses_the_best_epoch_on_held_out_training_images(tiny_config, tmp_path):
    config = replace(tiny_config, validation=0.2, evaluate_every=1, epochs=2, baselines=False)
    result = train(config, tmp_path / "run")
    events = [e for e in read_metrics(tmp_path / "run" / files.METRICS) if e["event"] == "evaluation"]
    against = "validation against training images"
    both = [(on, epoch) for epoch in (1, 2) for on in (against, "validation")]
    assert [(e["on"], e["epoch"]) for e in events] == [*both, ("query", 2)]
    assert (result.chosen_on, result.best) == ("validation", max(e["expected"] for e in events[1:4:2]))
    data = open_dataset("digits")
    held_out = hold_out(data.split.train, 0.2, seed=config.seed)[1]
    labels = data.source.labels[held_out]
    codes = Encoder(load_model(tmp_path / "run" / files.FINAL), precision="fp32").encode(data.source, held_out)
    found = mean_average_precision(codes, codes, labels, labels, exclude="self")
    assert found == pytest.approx(events[3]["expected"], abs=1e-12)
    assert result.baselines == {}


def test_held_out_images_are_not_trained_on():
    train_positions = np.arange(100, 300)
    fit, held_out = hold_out(train_positions, 0.25, seed=0)
    assert len(held_out) == 50
    assert sorted([*fit, *held_out]) == train_positions.tolist()
    assert not np.array_equal(hold_out(train_positions, 0.25, seed=1)[1], held_out)
    np.testing.assert_array_equal(hold_out(train_positions, 0.0, seed=0)[0], train_positions)


@pytest.mark.slow
def test_too_few_images_to_choose_an_epoch_by_are_trained_on_instead(tiny_config, tmp_path):
    fit, held_out = hold_out(np.arange(1000), 0.049, seed=0)
    assert (len(fit), len(held_out)) == (1000, 0)
    said = io.StringIO()
    config = replace(tiny_config, validation=0.05, evaluate_every=1, epochs=2, baselines=False)
    result = train(config, tmp_path / "run", progress=said)
    assert "the last one counts" in said.getvalue()
    assert (result.best_epoch, result.chosen) == (2, result.final)
    events = [e for e in read_metrics(tmp_path / "run" / files.METRICS) if e["event"] == "evaluation"]
    assert [(e["on"], e["epoch"]) for e in events] == [("query", 2)]


def test_a_validation_share_that_leaves_nothing_is_refused():
    message = r"^validation: expected a share that leaves images to train on, got 0\.99 of 10$"
    with pytest.raises(ValueError, match=message):
        hold_out(np.arange(10), 0.99, seed=0)


def test_a_loss_that_is_not_finite_stops_the_run_before_it_reaches_a_checkpoint(tiny_config, tmp_path):
    config = replace(tiny_config, optimizer=OptimizerConfig(name="sgd", lr=1e30, clip=0.0), baselines=False)
    with pytest.raises(VtsearchError, match="loss: not finite in epoch 1 by step"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run" / files.LAST).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framework": "magic"}, "framework: expected one of"),
        ({"protocol": "magic"}, "protocol: expected one of"),
        (
            {"framework": "dsdh", "sampling": "balanced"},
            "sampling: expected shuffled with dsdh, which needs each image",
        ),
        ({"precision": "fp16"}, "precision: expected auto, bf16 or fp32 on a cpu device, got 'fp16'"),
        ({"tf32": True}, "tf32: expected false on a cpu device, got true"),
        ({"options": object()}, "options: expected CSQOptions, got object"),
    ],
)
def test_nothing_is_written_before_the_words_are_understood(tiny_config, tmp_path, changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        train(replace(tiny_config, **changes), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_of_another_precision_may_follow_in_one_process(tiny_config, tmp_path):
    config = replace(tiny_config, precision="bf16", epochs=1, baselines=False)
    assert train(config, tmp_path / "run").final["expected"] > 0.1


@pytest.mark.slow
def test_global_generators_and_loading_processes_do_not_matter(finished, tmp_path):
    config, folder, _, _ = finished
    torch.manual_seed(12345)
    again = replace(config, evaluate_every=0, baselines=False, workers=1)
    train(again, tmp_path / "run")
    weights = [load_model(run / files.FINAL).fingerprint() for run in (folder, tmp_path / "run")]
    assert weights[0] == weights[1]


def test_a_result_is_what_result_json_holds(finished):
    _, folder, result, _ = finished
    content = json.loads((folder / files.RESULT).read_text())
    assert len(content.pop("sha256")) == 64
    assert content == asdict(result)


def test_the_first_bits_of_nested_codes_are_judged_too(tiny_config, tmp_path):
    result = train(replace(tiny_config, baselines=False, nested="4,8", teaching=0.1), tmp_path / "run")
    codes = tmp_path / "run" / files.CODES
    with Index.open(codes / "query") as query, Index.open(codes / "database") as database:
        for bits in (4, 8):
            short = prefix(query.codes(), bits), prefix(database.codes(), bits)
            found = evaluate(*short, query.labels(), database.labels(), bits=bits)
            assert result.prefixes[str(bits)]["expected"] == found.mean_average_precision.expected
            assert result.prefixes[str(bits)]["vote"] == vote_accuracy(*short, query.labels(), database.labels()).mean()
    assert result.prefixes["8"]["expected"] > 0.2
    assert read_result(tmp_path / "run") == result
