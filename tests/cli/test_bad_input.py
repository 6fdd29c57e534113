"""What users get wrong, and what they are told. ``VTSEARCH_WRITE_DOCS=1 pytest tests/cli/test_bad_input.py`` writes
the answers into docs/errors.md.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import vtsearch.torch
from vtsearch.cli import format_error, main
from vtsearch.cli.boundary import ISSUES
from vtsearch.codes import pack
from vtsearch.data import (
    draw_dataset,
    get_protocol,
    load_split,
    open_dataset,
    open_image_folder,
    open_image_list,
    open_manifest,
)
from vtsearch.duplicates import deduplicate
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import bootstrap_interval, compare, evaluate, permutation_test
from vtsearch.frameworks import framework_class
from vtsearch.index import Index
from vtsearch.metrics import average_precision, mean_average_precision
from vtsearch.models import ModelConfig, build_model, load_model, save_model
from vtsearch.ranking import distances, rank, within

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
CODES = pack(np.random.default_rng(0).integers(0, 2, (6, 64)))
LABELS = np.array([0, 1, 2, 0, 1, 2])
MANY = np.eye(3, dtype=np.uint8)[LABELS]
NONE = np.zeros((0, 8), np.uint8)


@dataclass(frozen=True)
class Place:
    """A folder with models, indexes, arrays and pictures, good and bad ones."""

    root: Path

    def __truediv__(self, name: str) -> Path:
        return self.root / name


def build(root: Path) -> Place:
    for name, seed in (("model", 0), ("other-model", 1)):
        torch.manual_seed(seed)
        save_model(build_model(ModelConfig("test_vit", 64, image_size=32, pretrained=False)), root / name)
    draw = np.random.default_rng(0)
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (root / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(root / "pictures" / name)
    (root / "dangling").symlink_to("missing")
    (root / "shard.tar").write_bytes(gzip.compress(bytes(10_240), mtime=0))
    (root / "half.png").write_bytes((root / "pictures/cat/1.png").read_bytes()[:1000])
    loss = "    def loss(self, features, labels, positions):\n        return features.mean()\n"
    (root / "loss.py").write_text(
        f"from vtsearch.frameworks import Framework\n\nclass MyLoss(Framework):\n{loss}", encoding="utf-8"
    )
    (root / "broken.py").write_text("import nothing_at_all\n")
    (root / "list.txt").write_text("pictures/cat/1.png 1 0\npictures/dog/1.png 0 2\n")
    (root / "table.csv").write_text("path,label,split\npictures/cat/1.png,cat,query\npictures/dog/1.png,dog,test\n")
    (root / "table.parquet").write_text("no table")
    (root / "split.json").write_text('{"query": [')
    (root / "empty").mkdir()
    model = load_model(root / "model")
    fingerprints = {"model": model.fingerprint(), "preprocessing": model.preprocessing.fingerprint()}
    for name, bits, given in (
        ("index", 64, fingerprints),
        ("other-index", 64, {"model": "0" * 64, "preprocessing": "1" * 64}),
        ("narrow-index", 32, fingerprints),
    ):
        with Index.create(root / name, bits, fingerprints=given) as index:
            index.add(CODES[:, : bits // 8], [f"item {i}" for i in range(6)], LABELS)
    for name, order, labels in (
        ("renamed-index", [0, 2, 1, 3, 4, 5], LABELS),
        ("relabelled-index", range(6), LABELS[::-1]),
        ("one-index", [5], LABELS[5:]),
    ):
        with Index.create(root / name, 64, fingerprints=fingerprints) as index:
            index.add(CODES[: len(order)], [f"item {i}" for i in order], labels)
    with Index.create(root / "unlabelled-index", 64) as index:
        index.add(CODES)
    for name in ("corrupt-index", "truncated-index"):
        shutil.copytree(root / "index", root / name)
    (root / "corrupt-index/index.sqlite").write_bytes(b"not a database, but long enough to look like one" * 20)
    (segment,) = (root / "truncated-index/codes").iterdir()
    segment.write_bytes(segment.read_bytes()[:150])
    shutil.copytree(root / "model", root / "damaged-model")
    weights = root / "damaged-model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    np.save(root / "codes.npy", CODES)
    np.save(root / "short.npy", CODES[:4])
    np.save(root / "labels.npy", LABELS)
    np.save(root / "five.npy", LABELS[:5])
    np.save(root / "nan.npy", np.full((6, 64), np.nan))
    np.save(root / "ints.npy", np.zeros((6, 8), np.int64))
    (root / "words.npy").write_text("these are no codes")
    return Place(root)


@dataclass(frozen=True)
class Mistake:
    """Something a user does: a call that raises, or words of a command that ends with code 2."""

    what: str
    act: Callable[[Place], object] | str
    says: str
    """Regular expression; names the argument or the file."""
    kind: type[Exception] | None = None


def call(what, act, kind, says):
    return Mistake(what, act, says, kind)


LIBRARY = [
    call("features with NaN", lambda _: pack(np.full((1, 8), np.nan)), ValueError, "values"),
    call("codes of another dtype", lambda _: rank(CODES.astype(np.float32), CODES), TypeError, "query_codes"),
    call("codes as a list", lambda _: rank(CODES.tolist(), CODES), TypeError, "query_codes"),
    call("codes of another width", lambda _: rank(CODES, CODES[:, :4]), ValueError, "db_codes|query_codes"),
    call("codes with three axes", lambda _: distances(CODES[None], CODES), ValueError, "query_codes"),
    call("k = 0", lambda _: rank(CODES, CODES, 0), ValueError, "k: "),
    call("k = -1", lambda _: rank(CODES, CODES, -1), ValueError, "k: "),
    call("k = 1.5", lambda _: rank(CODES, CODES, 1.5), TypeError, "k: "),
    call("a mask of another length", lambda _: rank(CODES, CODES, mask=np.ones(5, bool)), ValueError, "mask"),
    call("a mask of numbers", lambda _: rank(CODES, CODES, mask=np.ones(6)), TypeError, "mask"),
    call("a negative radius", lambda _: within(CODES, CODES, -1), ValueError, "radius"),
    call("a bar for progress", lambda _: rank(CODES, CODES, progress="bar"), TypeError, "progress"),
    call("arrays for an operator of PyTorch", lambda _: vtsearch.torch.rank(CODES, CODES), TypeError, "query_codes"),
    call(
        "tensors on two devices",
        lambda _: vtsearch.torch.rank(torch.from_numpy(CODES), torch.empty(6, 8, device="meta")),
        ValueError,
        "db_codes",
    ),
    call("features for duplicates", lambda _: deduplicate(np.ones((3, 64)), 2), TypeError, "codes: "),
    call("a single code for duplicates", lambda _: deduplicate(CODES[0], 2), ValueError, "codes: "),
    call("duplicates within a negative radius", lambda _: deduplicate(CODES, -1), ValueError, "radius"),
    call("duplicates within a share of the bits", lambda _: deduplicate(CODES, 0.05), TypeError, "radius"),
    call(
        "old codes of another width",
        lambda _: deduplicate(CODES, 2, against=CODES[:, :4]),
        ValueError,
        "against: .*8.*4",
    ),
    call("groups of a negative diameter", lambda _: deduplicate(CODES, 2, max_diameter=-1), ValueError, "max_diameter"),
    call("diameters of other codes", lambda _: deduplicate(CODES, 2).diameters(CODES[1:]), ValueError, "codes: .*6.*5"),
    call("duplicates with no threads", lambda _: deduplicate(CODES, 2, threads=0), ValueError, "threads"),
    call("no threads", lambda _: rank(CODES, CODES, threads=0), ValueError, "threads"),
    call(
        "labels of other length",
        lambda _: average_precision(CODES, CODES, LABELS[:5], LABELS),
        ValueError,
        "query_labels",
    ),
    call("labels of two forms", lambda _: average_precision(CODES, CODES, LABELS, MANY), ValueError, "labels"),
    call("labels as names", lambda _: evaluate(CODES, CODES, LABELS, np.array(["cat"] * 6)), TypeError, "db_labels"),
    call("counts as labels", lambda _: evaluate(CODES, CODES, MANY, 2 * MANY), ValueError, "db_labels"),
    call("an empty database", lambda _: evaluate(CODES, NONE, LABELS, LABELS[:0]), ValueError, "db_codes"),
    call("no queries", lambda _: mean_average_precision(NONE, CODES, LABELS[:0], LABELS), ValueError, "query_codes"),
    call(
        "an unknown tie rule",
        lambda _: average_precision(CODES, CODES, LABELS, LABELS, ties="random"),
        ValueError,
        "ties",
    ),
    call(
        "an unknown normalizer",
        lambda _: evaluate(CODES, CODES, LABELS, LABELS, normalizer="max"),
        ValueError,
        "normalizer",
    ),
    call("no scores", lambda _: bootstrap_interval([]), ValueError, "scores"),
    call("the score of a single query", lambda _: bootstrap_interval([0.5]), ValueError, "scores"),
    call("scores with NaN", lambda _: bootstrap_interval([0.5, np.nan]), ValueError, "scores"),
    call("confidence in percent", lambda _: bootstrap_interval([0.5, 0.7], confidence=95), ValueError, "confidence"),
    call("no resamples", lambda _: bootstrap_interval([0.5, 0.7], resamples=0), ValueError, "resamples"),
    call("scores of other queries", lambda _: permutation_test([0.5, 0.7], [0.5]), ValueError, "other_scores"),
    call(
        "a comparison with codes of other queries",
        lambda _: compare(CODES, CODES, CODES[:5], CODES, query_labels=LABELS, db_labels=LABELS),
        ValueError,
        "other_query_codes",
    ),
    call("an index of 0 bits", lambda p: Index.create(p / "new", 0), ValueError, "bits"),
    call("a new index where one is", lambda p: Index.create(p / "index", 64), FileExistsError, "path.*index"),
    call("an id twice", lambda p: add(p, CODES[:2], ["a", "a"]), ValueError, "ids.*'a'"),
    call("an id that is taken", lambda p: add(p, CODES[:1], ["item 3"]), ValueError, "ids.*'item 3'"),
    call("codes of another width in an index", lambda p: add(p, CODES[:, :4]), ValueError, "codes"),
    call("several labels in a single-label index", lambda p: add(p, CODES, labels=MANY), ValueError, "labels"),
    call(
        "codes of another model in an index",
        lambda p: add(p, CODES, fingerprints={"model": "0" * 64}),
        VtsearchError,
        "model",
    ),
    call("an index that is not there", lambda p: Index.open(p / "nowhere"), FileNotFoundError, "nowhere"),
    call("a folder that is no index", lambda p: Index.open(p / "model"), VtsearchError, "model: expected an index"),
    call("a corrupt index", lambda p: Index.open(p / "corrupt-index"), VtsearchError, r"corrupt-index/index\.sqlite"),
    call(
        "a truncated segment",
        lambda p: Index.open(p / "truncated-index"),
        VtsearchError,
        r"codes/NAME\.npy: expected 176 bytes, got 150",
    ),
    call("an unknown protocol", lambda _: get_protocol("cifar10"), ValueError, "protocol.*cifar10@54000"),
    call(
        "a data set that is not there", lambda p: open_dataset("cifar10@all", p / "empty"), FileNotFoundError, "empty"
    ),
    call("a damaged split", lambda p: load_split(p / "split.json"), VtsearchError, r"split\.json"),
    call(
        "a folder of images that is not there", lambda p: open_image_folder(p / "nowhere"), FileNotFoundError, "nowhere"
    ),
    call("a folder without images", lambda p: open_image_folder(p / "empty"), ValueError, "empty"),
    call("a list with a label of 2", lambda p: open_image_list(p / "list.txt"), ValueError, r"list\.txt:2"),
    call("a table of another kind", lambda p: open_manifest(p / "list.txt"), ValueError, "manifest.*csv or .parquet"),
    call("a table with an unknown part", lambda p: open_manifest(p / "table.csv"), ValueError, r"table\.csv:3: split"),
    call("a Parquet file that is none", lambda p: open_manifest(p / "table.parquet"), VtsearchError, r"table\.parquet"),
    call(
        "a protocol without its list files",
        lambda p: open_dataset("mirflickr", p / "empty"),
        FileNotFoundError,
        r"empty: expected im\*\.jpg and ",
    ),
    call(
        "not enough images in a class",
        lambda p: draw_dataset(
            open_image_folder(p / "pictures"), name="pictures", queries_per_class=1, train_per_class=1
        ),
        ValueError,
        "'dog' has 1 images",
    ),
    call("an unknown framework", lambda _: framework_class("cqs"), ValueError, "framework.*csq"),
    call(
        "an unknown backbone",
        lambda _: model_of(backbone="vit_tinny_patch16_224"),
        ValueError,
        "backbone.*vit_tiny_patch16_224",
    ),
    call(
        "an old name of weights, which timm gives to others",
        lambda _: model_of(backbone="vit_base_patch16_224_in21k"),
        ValueError,
        "backbone.*orig_in21k",
    ),
    call(
        "the tokens of a network without tokens",
        lambda _: model_of(backbone="test_resnet", head="tokens"),
        ValueError,
        "head.*pooled",
    ),
    call("a model of 0 bits", lambda _: ModelConfig("test_vit", 0), ValueError, "bits"),
    call("an image size between patches", lambda _: model_of(image_size=33), ValueError, "image_size"),
    call("images of another size", lambda p: load_model(p / "model")(torch.zeros(1, 3, 48, 48)), ValueError, "images"),
    call(
        "weights that are no weights",
        lambda p: model_of(weights=str(p / "half.png")),
        (ValueError, VtsearchError),
        r"half\.png",
    ),
    call("a model that is not there", lambda p: load_model(p / "nowhere"), FileNotFoundError, "nowhere"),
    call("a folder that is no model", lambda p: load_model(p / "index"), VtsearchError, "index"),
    call("a model with damaged weights", lambda p: load_model(p / "damaged-model"), VtsearchError, "damaged-model"),
]
EVALUATE = "evaluate --queries index --database index"
SIDES = "--queries codes.npy --query-labels labels.npy"
FIT = "--protocol digits --backbone test_vit --no-pretrained --image-size 32"
GRID = "reproduce --protocols digits --frameworks csq --backbones test_vit --bits 16"

COMMANDS = [
    Mistake("an unknown command", "serch photo.jpg", "unknown command 'serch'; did you mean 'search'"),
    Mistake("an unknown argument", "search photo.jpg --indx index", "--indx: no such argument; did you mean --index"),
    Mistake("an abbreviated argument", "evaluate --quer index", "--quer: no such argument; did you mean --queries"),
    Mistake("a missing argument", "search photo.jpg", "index: expected a value"),
    Mistake("a word for a number", "search photo.jpg --index index -k ten", "k: expected an int, got 'ten'"),
    Mistake("a fraction for k", "search photo.jpg --index index -k 1.5", r"k: expected an int, got '1\.5'"),
    Mistake("no answers wanted", "search 'item 1' --index index -k 0", "k: "),
    Mistake("a query that is nothing", "search photo.jpg --index index", "query: .*16 hexadecimal digits.*photo.jpg"),
    Mistake("a code of another length", "search 00ff --index index", "query: .*16 hexadecimal digits.*00ff"),
    Mistake("an index that is not there", "search photo.jpg --index nowhere", "nowhere: no such index"),
    Mistake("a corrupt index", "search 'item 1' --index corrupt-index", r"corrupt-index/index\.sqlite"),
    Mistake("an index that forgot its model", "search pictures/cat/1.png --index index", "model: expected a folder"),
    Mistake(
        "the model of other codes",
        "search pictures/cat/1.png --index index --model other-model",
        "fingerprints: .*other-model model",
    ),
    Mistake("a truncated image", "search half.png --index index --model model", r"half\.png"),
    Mistake("a picture of a code", "search " + "0" * 16 + " --index index --picture a.png", "say where its images"),
    Mistake("a server of nothing", "serve nowhere --port 0", "nowhere: no such index"),
    Mistake("a server at no port", "serve index --port 99999", "port: expected at most 65535, got 99999"),
    Mistake("a server for all without a token", "serve index --host 0.0.0.0", r"token: expected one for --host 0"),
    Mistake("a server of a model that is not there", "serve index --port 0 --model nowhere", "nowhere: no such model"),
    Mistake("a server that may and may not", "serve index --writable --read-only", "read_only: expected one of"),
    Mistake("images that are not there", "encode photos --model model --output new", "images: .*photos"),
    Mistake("an image that is not there", "encode a.png b.png --model model --output new", r"a\.png: no such image"),
    Mistake("a model that is not there", "encode digits --model nowhere --output new", "nowhere"),
    Mistake("an output that exists", "encode digits --model model --output index", "output: .*--overwrite"),
    Mistake(
        "an output that is no index",
        "encode digits --model model --output pictures --overwrite",
        "output: expected an index",
    ),
    Mistake("an output that is the current folder", "encode digits --model model --output .", "output: .*runs in"),
    Mistake(
        "an output that is a link to nothing", "encode digits --model model --output dangling", "output: .*missing"
    ),
    Mistake("codes never saved", "encode digits --model model --output new --save-images 0", "save_images: .*1, got 0"),
    Mistake("an image named twice", "encode half.png half.png --model model --output new", "images: .*half.png twice"),
    Mistake(
        "an unknown part",
        "encode digits --part rest --model model --output new",
        "part: .*query, train, database",
    ),
    Mistake("no images at a time", "encode digits --model model --output new --batch-size 0", "batch_size"),
    Mistake("an image that is broken", "encode half.png --model model --output new", r"half\.png"),
    Mistake(
        "a compressed tar", "encode shard.tar --model model --output new", "not compressed, got gzip: .*decompress"
    ),
    Mistake(
        "images and a tar", "encode half.png shard.tar --model model --output new", "of one kind, got half.png and"
    ),
    Mistake(
        "paths and URLs", "encode half.png http://a/b.png --model model --output new", "expected URLs or paths, got bo"
    ),
    Mistake("an item that is not there", "remove index 'item 77'", "ids: expected ids in index, got 'item 77'"),
    Mistake("items of no index", "remove nowhere 'item 1'", "nowhere: no such index"),
    Mistake("no items", "remove index", "item: expected at least one id"),
    Mistake("a condition on no column", 'remove index --where "colour = 3"', "where: no such column: colour; "),
    Mistake(
        "more than a condition",
        'remove index --where "id IN (SELECT id FROM items)"',
        "where: expected an expression of columns, parameters and functions",
    ),
    Mistake("a column that is not there", "search 'item 1' --index index --show size", "show: expected columns"),
    Mistake("a file of ids that is not there", "remove index --ids nowhere.txt", r"nowhere\.txt"),
    Mistake("a corrupt index to compact", "compact corrupt-index", r"corrupt-index/index\.sqlite"),
    Mistake("an export of no index", "export nowhere codes.faiss", "nowhere: no such index"),
    Mistake("an export to a file that exists", "export index codes.npy", r"target: expected a new file, .*codes\.npy"),
    Mistake("an export into no folder", "export index nowhere/codes.npy", "target: expected a file in a folder"),
    Mistake("an export whose format nothing tells", "export index codes", "target: expected a path that ends as"),
    Mistake("an unknown format", "export index codes.npy --to fais", "to: expected one of faiss, .*, got 'fais'"),
    Mistake("a table in a file", "export index new.npy --table codes", "table: expected none with format npy"),
    Mistake("an export of no model", "export nowhere model.onnx", "nowhere: expected a model folder"),
    Mistake("an index as ONNX", "export index model.onnx", "index: not a model folder"),
    Mistake(
        "a model as codes", "export model codes.faiss", r"target: expected a file that ends as \.onnx, \.pt2 for th"
    ),
    Mistake("a repository without a user", "push model cifar", "repository: expected user/name, got 'cifar'"),
    Mistake("a push of no model", "push nowhere me/cifar", "nowhere: expected a model folder"),
    Mistake("codes of 64 bits as PDQ", "export index new.pdq", "index: expected codes of 256 bits for PDQ, got 64"),
    Mistake(
        "a database that does not answer",
        "export index postgresql://me:secret@127.0.0.1:1/photos",
        r"postgresql://127\.0\.0\.1:1/photos: ",
    ),
    Mistake("an import of nothing", "import nowhere.faiss --output new", r"nowhere\.faiss: no such file"),
    Mistake("an import of something else", "import words.npy --output new", r"words\.npy: expected a \.npy file"),
    Mistake("an import of a damaged table", "import table.parquet --output new", r"table\.parquet: expected a whole"),
    Mistake("an import of text", "import list.txt --output new", r"list\.txt:1: expected 64 hexadecimal digits"),
    Mistake("features with NaN to import", "import nan.npy --output new", r"nan\.npy: expected features without NaN"),
    Mistake("integers that are no bits", "import labels.npy --output new", r"labels\.npy: expected \(n, bytes\)"),
    Mistake(
        "embeddings of another type",
        "import codes.npy --from binary --output new",
        r"codes\.npy: expected int8 for format binary, got uint8",
    ),
    Mistake(
        "codes of another length to import",
        "import codes.npy --bits 12 --output new",
        r"codes\.npy: codes: expected 2 bytes for 12 bits, got 8",
    ),
    Mistake(
        "an import where something is", "import codes.npy --output index", "output: expected a new or empty folder"
    ),
    Mistake("duplicates of no index", "deduplicate nowhere --radius 2", "nowhere: no such index"),
    Mistake("duplicates of an array", "deduplicate codes.npy --radius 2", r"codes\.npy: expected an index"),
    Mistake("duplicates within no radius", "deduplicate index", "radius: expected a value"),
    Mistake("duplicates within a negative radius", "deduplicate index --radius -1", "radius: expected at least 0"),
    Mistake(
        "duplicates within a share of the bits", "deduplicate index --radius 5%", "radius: expected an int, got '5%'"
    ),
    Mistake(
        "groups of a negative diameter",
        "deduplicate index --radius 2 --max-diameter -1",
        "max_diameter: expected at least 0",
    ),
    Mistake("no old items", "deduplicate index --radius 2 --against nowhere", "nowhere: no such index"),
    Mistake("old labels", "deduplicate index --radius 2 --against labels.npy", "against: expected .*codes"),
    Mistake("old items of another model", "deduplicate index --radius 2 --against other-index", "fingerprints: "),
    Mistake(
        "old items of another length", "deduplicate index --radius 2 --against narrow-index", "against: .*64 bits.*32"
    ),
    Mistake(
        "old codes of another length", "deduplicate narrow-index --radius 2 --against codes.npy", "against: .*4.*8"
    ),
    Mistake("indexes of different models", "evaluate --queries index --database other-index", "fingerprints: "),
    Mistake("codes of different lengths", "evaluate --queries index --database narrow-index", "bits: .*64.*32"),
    Mistake(
        "a vote by shards",
        f"{EVALUATE} --vote --shards 2",
        "vote: expected without --shards and --ray, got it beside one of them",
    ),
    Mistake(
        "an index without labels",
        "evaluate --queries index --database unlabelled-index",
        "database: .*with labels",
    ),
    Mistake("codes without labels", "evaluate --queries codes.npy --database index", "query_labels: "),
    Mistake(
        "labels for an index",
        "evaluate --queries index --database index --query-labels labels.npy",
        "query_labels: .*has its own",
    ),
    Mistake(
        "labels of other length",
        f"evaluate {SIDES} --database codes.npy --database-labels five.npy",
        "database_labels: .*6.*5",
    ),
    Mistake(
        "features with NaN",
        f"evaluate {SIDES} --database nan.npy --database-labels labels.npy",
        "database: .*NaN",
    ),
    Mistake(
        "codes that are not uint8",
        f"evaluate {SIDES} --database ints.npy --database-labels labels.npy",
        "database: .*int64",
    ),
    Mistake(
        "a file of something else",
        f"evaluate {SIDES} --database words.npy --database-labels labels.npy",
        r"words\.npy: expected a \.npy file",
    ),
    Mistake("a list of length 0", "evaluate --queries index --database index -k 0", "k: "),
    Mistake(
        "an unknown normalizer",
        "evaluate --queries index --database index --normalizer max",
        "normalizer: expected one of retrieved, relevant, min, got 'max'",
    ),
    Mistake("half of the other codes", f"{EVALUATE} --against codes.npy", "--against: expected 2 values, got fewer"),
    Mistake("other codes that are not there", f"{EVALUATE} --against nowhere index", "nowhere: no such index"),
    Mistake("other codes of fewer items", f"{EVALUATE} --against index short.npy", "against: .*same 6 items, got 4"),
    Mistake("other codes that are not uint8", f"{EVALUATE} --against ints.npy codes.npy", "against: .*int64"),
    Mistake("other codes with NaN", f"{EVALUATE} --against codes.npy nan.npy", "against: .*NaN"),
    Mistake("other codes of two lengths", f"{EVALUATE} --against index narrow-index", "bits: .*64.*32"),
    Mistake("other codes of two models", f"{EVALUATE} --against index other-index", "fingerprints: "),
    Mistake(
        "other codes of other items",
        f"{EVALUATE} --against index renamed-index",
        "against: .*'item 2' for 'item 1'",
    ),
    Mistake(
        "other codes of items with other labels",
        f"{EVALUATE} --against relabelled-index index",
        "against: .*other labels in relabelled-index",
    ),
    Mistake(
        "a comparison over one query",
        "evaluate --queries one-index --database index --against one-index index",
        "query_codes: expected at least 2 queries",
    ),
    Mistake(
        "a report where a file is",
        f"evaluate {SIDES} --database codes.npy --database-labels labels.npy --report list.txt",
        r"report: expected a folder to write, got 'list\.txt'",
    ),
    Mistake("an unknown task", "data verify digits", "task: expected one of list, check, make, got 'verify'"),
    Mistake("no task", "data", "task: expected a value"),
    Mistake("a check of nothing", "data check", "protocol: expected a value"),
    Mistake("a check of an unknown protocol", "data check coco@5000 empty", "protocol: .*did you mean 'mscoco@5000'"),
    Mistake("a check in a folder that is not there", "data check mscoco@5000 nowhere", "nowhere: no such folder"),
    Mistake("a split of images that are not there", "data make photos --output new", "images: expected .*got photos"),
    Mistake("a split without an output", "data make pictures", "output: expected a value"),
    Mistake(
        "a split with more queries than images",
        "data make pictures --output new --queries-per-class 9",
        "class 'cat' has 2 images, and 59 are needed",
    ),
    Mistake(
        "a split without training images",
        "data make pictures --output new --train-per-class 0",
        "train_per_class: expected at least 1, got 0",
    ),
    Mistake(
        "an unknown database rule",
        "data make pictures --output new --database all",
        r"database: expected one of rest, rest\+train, train, got 'all'",
    ),
    Mistake("a split of a table with a fault", "data make table.csv --output new", r"table\.csv:3: split"),
    Mistake(
        "training on a table with a fault",
        "train --protocol table.csv --no-pretrained --output new",
        r"table\.csv:3: split: expected one of query, train",
    ),
    Mistake(
        "training without the data set",
        "train --protocol mscoco@5000 --data empty --no-pretrained --output new",
        "empty: expected annotations/instances_",
    ),
    Mistake("a folder of no known kind", "info pictures", "pictures: expected a model, an index"),
    Mistake("an unknown framework", "train --framework cqs --output new", "framework: .*csq"),
    Mistake("a framework in no file", "train --framework my_loss.py:MyLoss --output new", "my_loss.py: no such file"),
    Mistake(
        "a framework that its file does not have",
        "train --framework loss.py:MyLos --output new",
        r"expected one of MyLoss, got 'MyLos' \(did you mean 'MyLoss'",
    ),
    Mistake(
        "a file that fails", "train --framework broken.py:MyLoss --output new", r"broken.py:1: ModuleNotFoundError"
    ),
    Mistake(
        "published code of a framework of your own",
        "train --framework loss.py:MyLoss --preset paper --output new",
        "'paper' repeats published code",
    ),
    Mistake(
        "a preset of another framework",
        "train --framework csq --preset transhash --output new",
        "preset: expected the framework dch with 'transhash', got csq",
    ),
    Mistake(
        "an option of another framework",
        "train --framework csq --options.continuation 5 --output new",
        "continuation",
    ),
    Mistake(
        "views that are all alike",
        "train --framework cibhash --augment none --protocol digits --backbone test_vit --image-size 32 "
        "--no-pretrained --output new",
        "augment: expected a random one with CIBHash, which compares 2 views, got 'none'",
    ),
    Mistake(
        "the paper's recipe of a framework that had no Vision Transformer",
        "train --framework bihalf --preset paper --output new",
        "preset: expected 'modern' with bihalf",
    ),
    Mistake("a model of 0 bits", "train --protocol digits --bits 0 --output new", "bits: expected at least 1, got 0"),
    Mistake(
        "a held-out share of a database whose codes are learned",
        "train --framework adsh --validation 0.1 --evaluate-every 1 --protocol digits --no-pretrained --output new",
        "validation: expected 0 with adsh",
    ),
    Mistake(
        "a value that would do nothing",
        "train --smoothing 0.1 --protocol digits --no-pretrained --output new",
        "smoothing: expected its default 0.0 where classification is 0, got 0.1, which would do nothing",
    ),
    Mistake(
        "a tracker that there is not",
        "train --trackers mlflow --protocol digits --no-pretrained --output new",
        "trackers: expected none, or joined by commas any of tensorboard, wandb, trackio, got 'mlflow'",
    ),
    Mistake("a run where something is", "train --protocol digits --output pictures", "output: .*pictures"),
    Mistake(
        "a method of another kind",
        f"fit sdh {FIT} --output new",
        "method: expected one of pca, itq, rotation, lsh, got 'sdh'",
    ),
    Mistake(
        "more bits than features",
        f"fit itq {FIT} --bits 65 --output new",
        "bits: expected at most 64 for itq, the width of the features, got 65",
    ),
    Mistake(
        "steps of a method that has none",
        f"fit pca {FIT} --iterations 9 --output new",
        "iterations: expected the method itq beside it, got pca",
    ),
    Mistake(
        "a head that has layers",
        f"fit pca {FIT} --head tokens --output new",
        r"head: expected one of auto, cls, cls\+patches, pooled",
    ),
    Mistake("a fitted model where one is", f"fit lsh {FIT} --output model", "output: model is a model; .*--overwrite"),
    Mistake("a fitted model where something is", f"fit lsh {FIT} --output pictures", "folder: .*pictures"),
    Mistake("a table that the paper does not have", "reproduce --table 4", "table: expected one of 1, 2, 3, got '4'"),
    Mistake("an unknown flag of a grid", "reproduce --tabel 1", "--tabel: no such argument; did you mean --table"),
    Mistake(
        "an unknown framework in a grid",
        f"{GRID} --frameworks csq,cqs --output new",
        "frameworks: expected some of .*csq.*, got 'cqs'",
    ),
    Mistake(
        "an unknown protocol in a grid",
        "reproduce --protocols digit --frameworks csq --output new",
        r"protocols: .*'digit' \(did you mean 'digits'",
    ),
    Mistake("an unknown backbone in a grid", f"{GRID} --backbones vit_tny --output new", "backbones: .*'vit_tny'"),
    Mistake("code lengths that are words", f"{GRID} --bits long --output new", "bits: expected whole numbers"),
    Mistake("one seed of a grid", f"{GRID} --seed 1 --output new", "--seed: the grid decides it; use --seeds"),
    Mistake("a grid where something is", f"{GRID} --output pictures", "output: pictures is not empty and no grid"),
    Mistake("reports of no grid", "reproduce --report-only --output empty", "output: no grid in empty"),
    Mistake("an unknown protocol", "train --protocol cifar --no-pretrained --output new", "protocol: .*cifar10@54000"),
]


def add(place, codes, ids=None, **more):
    with Index.open(place / "index") as index:
        index.add(codes, ids, **({"labels": LABELS[: len(codes)]} | more))


def model_of(**changes):
    return build_model(
        ModelConfig(**({"backbone": "test_vit", "bits": 8, "image_size": 32, "pretrained": False} | changes))
    )


def outcome(mistake: Mistake, place: Place) -> tuple[object, str]:
    """Class of the error, or exit code, and the message, without what differs from machine to machine."""
    if isinstance(mistake.act, str):
        err = io.StringIO()
        with contextlib.redirect_stderr(err), contextlib.chdir(place.root):
            kind: object = main(shlex.split(mistake.act))
        text = err.getvalue()
    else:
        try:
            mistake.act(place)
        except Exception as error:  # noqa: BLE001 (whatever it is, a test looks at it)
            kind, text = type(error), format_error(error)
        else:
            kind, text = None, ""
    text = re.sub(r"\b[0-9a-f]{32}\.npy", "NAME.npy", text.replace(f"{place.root}/", "").strip())
    return kind, re.sub(r"\b(?!0{12})[0-9a-f]{12}\b", "5f3a...", text)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mistakes"))


@pytest.fixture(scope="module")
def outcomes(place):
    return {mistake: outcome(mistake, place) for mistake in LIBRARY + COMMANDS}


@pytest.mark.parametrize("mistake", LIBRARY, ids=lambda mistake: mistake.what)
def test_a_call_names_what_is_wrong(mistake, outcomes):
    kind, text = outcomes[mistake]
    assert isinstance(kind, type), "nothing was raised"
    assert issubclass(kind, mistake.kind)
    assert re.search(mistake.says, text)
    assert len(text) < 400


@pytest.mark.parametrize("mistake", COMMANDS, ids=lambda mistake: mistake.what)
def test_a_command_names_what_is_wrong_on_one_line(mistake, outcomes):
    code, text = outcomes[mistake]
    assert code == 2
    assert re.search(mistake.says, text)
    assert text.startswith("vtsearch")
    assert len(text.splitlines()) == 1


def test_mistakes_leave_nothing_behind(outcomes, place):
    assert not (place / "new").exists()
    assert not [path for path in place.root.iterdir() if path.name.startswith(".")]
    with Index.open(place / "index") as index:
        index.verify()
        assert len(index) == 6


def test_the_page_of_errors_is_what_is_printed(outcomes):
    text = page(outcomes)
    if os.environ.get("VTSEARCH_WRITE_DOCS"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
    assert PAGE.read_text() == text


def page(outcomes) -> str:
    """docs/errors.md."""
    lines = [
        "# Errors and their messages",
        "",
        "Every message names the argument or the file, what was expected and what came. A command prints one line on",
        "standard error and ends with code 2; `VTSEARCH_DEBUG=1` shows where it was raised. The tests run all of this:",
        "`VTSEARCH_WRITE_DOCS=1 pytest tests/cli/test_bad_input.py` writes the page.",
        "",
        "An exception that vtsearch did not expect is one line too, with code 70: `internal error` and the name of a",
        "file with the traceback, the versions and the command. It holds nothing of the environment; please send it",
        f"with the command to <{ISSUES}>. Control characters in names and paths are printed as",
        "escape sequences such as `\\x1b`; `--json` keeps them exact.",
        "",
        "## Commands",
        "",
        "| mistake | command | what it prints |",
        "| --- | --- | --- |",
        *[f"| {m.what} | `vtsearch {cell(m.act)}` | {cell(outcomes[m][1])} |" for m in COMMANDS],
        "",
        "## Library",
        "",
        "| mistake | error | message |",
        "| --- | --- | --- |",
        *[f"| {m.what} | `{outcomes[m][0].__name__}` | {cell(outcomes[m][1])} |" for m in LIBRARY],
    ]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


@pytest.mark.slow
def test_a_full_disk_is_named_and_leaves_the_old_report(place, tmp_path):
    words = [sys.executable, "-m", "vtsearch", "evaluate", "--queries", str(place / "index")]
    words += ["--database", str(place / "index"), "--report", str(tmp_path)]
    subprocess.run(words, check=True, capture_output=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500)),
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"vtsearch evaluate: {tmp_path}/pr_curve.png: File too large"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
