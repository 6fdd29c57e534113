"""Folders of finished runs and indexes, made in milliseconds: clustered codes instead of a trained model's."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import yaml
from PIL import Image

from vtsearch._json import write_checked
from vtsearch.codes import pack
from vtsearch.evaluation import evaluate
from vtsearch.index import Index
from vtsearch.reports import ReportContext

CLASSES = ("cat", "dog", "hen")
QUERIES, ITEMS = 30, 120


def clustered(bits, noise, seed, items=QUERIES + ITEMS):
    """Codes and labels of three classes; less noise retrieves better."""
    labels = np.arange(items) % len(CLASSES)
    centers = np.random.default_rng(1).normal(size=(len(CLASSES), bits))[labels]
    return pack(centers + noise * np.random.default_rng(seed).normal(size=(items, bits))), labels


def save_images(folder, count):
    """Small photographs, all different; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:03d}.png" for number in range(count)]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return names


def save_index(folder, codes, bits, labels=None, *, ids=None, images=None, **description):
    """An index of some codes; its images are files of a folder."""
    where = {"folder": str(images)} if images else {}
    fingerprints = {"model": "ab" * 32, "preprocessing": "cd" * 32}
    with Index.create(
        folder, bits, fingerprints=fingerprints, classes=CLASSES, description=where | description
    ) as index:
        index.add(codes, ids, labels)
    return folder


def save_run(folder, framework="csq", bits=16, seed=0, *, noise=1.0, images=None, **config):
    """The folder of a finished run, with the files of `vtsearch train` that a report reads."""
    codes, labels = clustered(bits, noise, seed)
    query, database = np.arange(QUERIES), np.arange(QUERIES, QUERIES + ITEMS)
    evaluation = evaluate(codes[query], codes[database], labels[query], labels[database], bits=bits)
    expected = asdict(evaluation.mean_average_precision)
    context = ReportContext(
        "animals",
        f"{seed}" * 64,
        "ab" * 32,
        "cd" * 32,
        framework,
        "vit_tiny",
        seed=seed,
        baselines={"random codes": 0.3},
    )
    folder.mkdir(parents=True)
    names = [f"{number:03d}.png" for number in range(QUERIES + ITEMS)]
    for part, places in (("query", query), ("database", database)):
        ids = [names[place] for place in places]
        save_index(folder / "codes" / part, codes[places], bits, labels[places], ids=ids, images=images, part=part)
    tree = {
        "framework": framework,
        "bits": bits,
        "seed": seed,
        "epochs": 3,
        "optimizer": {"lr": 0.01},
        "data": "/home/me/data",
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree | config))
    (folder / "env.json").write_text(json.dumps({"python": "3.11", "packages": {"numpy": "2.0"}, "threads": 2}))
    split = {"query": query.tolist(), "train": database[:40].tolist(), "database": database.tolist()}
    (folder / "split.json").write_text(json.dumps(split))
    events = [{"event": "epoch", "epoch": epoch, "loss": 1 / epoch} for epoch in (1, 2, 3)]
    events += [{"event": "evaluation", "on": "query", "epoch": epoch, "expected": epoch / 4} for epoch in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    report = {"format": 1, "context": asdict(context), "evaluation": evaluation.to_dict()}
    (folder / "report.json").write_text(json.dumps(report))
    write_checked(folder / "best.json", {"epoch": 3, "evaluation": evaluation.to_dict()})
    result = {
        "final": expected,
        "best_epoch": 3,
        "chosen_on": "query",
        "epochs": 3,
        "seconds": 6.5,
        "images_per_second": 99.0,
    }
    write_checked(folder / "result.json", result)
    return folder


def save_grid(folder, **options):
    """Two frameworks, two lengths, two seeds; returns the folders of the runs."""
    noises = {"csq": 0.8, "hashnet": 1.6}
    return [
        save_run(folder / f"{framework}-{bits}-{seed}", framework, bits, seed, noise=noise, **options)
        for framework, noise in noises.items()
        for bits in (16, 32)
        for seed in (0, 1)
    ]
