"""``vtsearch fit``: a model whose head is fitted to the features of a frozen backbone."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ActionYesNo, set_parsing_settings

from vtsearch.cli.backbones import add_pretrained_argument, backbone_of
from vtsearch.cli.encode import add_encoder_arguments
from vtsearch.cli.output import check_output_folder, json_text
from vtsearch.cli.parser import CommandParser, FirstParser, check_lengths
from vtsearch.cli.progress import show_remarks
from vtsearch.data import open_dataset
from vtsearch.fitting import METHODS, Method
from vtsearch.fitting.model import fit
from vtsearch.models import ModelConfig
from vtsearch.training.config import TrainConfig
from vtsearch.training.presets import SMALL_BACKBONE
from vtsearch.training.result import score, score_line

if TYPE_CHECKING:
    from argparse import Namespace

    from vtsearch.data import RetrievalData
    from vtsearch.fitting.model import FitResult

EXAMPLE = """  vtsearch fit itq --protocol cifar10@54000 --bits 64 --image-size 96 --output models/itq
  vtsearch fit pca --protocol photos --head pooled --output models/pca --no-evaluate
  vtsearch fit lsh --protocol digits --backbone test_vit --image-size 32 --no-pretrained --output models/lsh"""
DESCRIPTION = """Fit a model that turns images into binary codes, in seconds and without labels.

A frozen backbone gives the features of the training images of a protocol; the head becomes an affine map that a method
finds from them. The model is like a trained one: encode, search, serve and evaluate take it."""

Head = Literal["auto", "cls", "cls+patches", "pooled"]

IMAGES = ("protocol", "data", "strip_prefix")
"""Arguments of images that are those of ``vtsearch train``."""

MODEL = ("backbone", "bits", "image_size", "weights", "preprocessing")
"""Arguments of the model that are those of ``vtsearch train``."""


def parser(weights: str | None = None) -> CommandParser:
    """Build the argument parser; a file of weights names the default backbone."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    command = CommandParser("fit", DESCRIPTION, EXAMPLE)
    methods = "; ".join(f"{name}: {method.summary}" for name, method in METHODS.items())
    command.add_argument("method", type=Method, help=methods)
    command.add_argument("--output", required=True, help="folder of the new model")
    command.add_argument("--overwrite", action="store_true", help="replace the model that --output already is")
    for kind, kept in ((TrainConfig, IMAGES), (ModelConfig, MODEL)):
        others = {field.name for field in dataclasses.fields(kind)} - set(kept)
        command.add_class_arguments(kind, as_group=False, skip=others, instantiate=False)
    add_pretrained_argument(command)
    command.add_argument(
        "--head",
        type=Head,
        default="auto",
        help="features to fit to: the class token, alone or beside the mean of the patch tokens; the pooled features "
        "of a CNN, or the mean token; auto is the class token where there is one, else pooled",
    )
    command.add_argument("--iterations", type=int, help="of itq; by default 50")
    command.add_argument("--seed", type=int, default=0, help="of the split, and of random directions and rotations")
    add_encoder_arguments(command)
    command.add_argument(
        "--evaluate",
        action=ActionYesNo(no_prefix="no-"),
        default=True,
        help="encode query and database of the protocol too, and print mAP",
    )
    command.add_argument("--json", action="store_true", help="print the result as one JSON object")
    command.set_defaults({"backbone": backbone_of(weights) or SMALL_BACKBONE})
    return command


def run(argv: list[str]) -> int:
    """Fit; prints the seconds, and the mAP of the model on its protocol."""
    args = parser(_weights(argv)).parse_args(argv)
    check_output_folder("output", args.output)
    config = ModelConfig(**{name: getattr(args, name) for name in (*MODEL, "head", "pretrained")})
    data = open_dataset(
        args.protocol,
        Path(args.data) if args.data else None,
        seed=args.seed,
        strip_prefix=args.strip_prefix or "",
    )
    show_remarks("fit", [*([f"this is {data.remark}"] if data.remark else []), *data.remarks])
    result = fit(
        args.method,
        data,
        args.output,
        model=config,
        **{name: getattr(args, name) for name in ("seed", "iterations", "evaluate", "overwrite")},
        **{name: getattr(args, name) for name in ("device", "precision", "batch_size", "workers")},
        progress=sys.stderr,
    )
    facts = _facts(args, data, result)
    print(json_text(facts, indent=None) if args.json else _text(args, facts))
    return 0


def _weights(argv: list[str]) -> str | None:
    """The file of weights: other defaults depend on it."""
    check_lengths(argv)
    first = FirstParser()
    first.add_argument("--weights")
    weights: str | None = first.parse_known_args(argv)[0].weights
    return weights


def _facts(args: Namespace, data: RetrievalData, result: FitResult) -> dict[str, Any]:
    fitted = result.model.fitted
    assert fitted is not None
    return {
        "model": args.output,
        "fingerprint": result.model.fingerprint(),
        **dataclasses.asdict(fitted),
        "bits": result.model.bits,
        "feature_seconds": round(result.feature_seconds, 2),
        "fit_seconds": round(result.fit_seconds, 2),
        "k": data.protocol.k,
        "scores": None if result.evaluation is None else score(result.evaluation),
    }


def _text(args: Namespace, facts: dict[str, Any]) -> str:
    took = f"features {facts['feature_seconds']:.1f} s, fit {facts['fit_seconds']:.1f} s"
    lines = [f"{args.method}, {facts['bits']} bits, fitted to {facts['images']:,} images: {took}"]
    if facts["scores"] is not None:
        lines += [
            score_line(f"protocol {args.protocol}, seed {args.seed}", facts["k"], facts["scores"]),
            "ties expected, normalizer retrieved",
        ]
    made_by = f"model {facts['fingerprint'][:12]}, {facts['arithmetic']}"
    return "\n".join([*lines, f"{args.output}: {made_by}"])
