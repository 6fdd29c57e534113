"""``vtsearch train``: a model from a protocol, with its codes and a report."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionYesNo, set_parsing_settings

from vtsearch.cli.parser import CommandParser
from vtsearch.evaluation import map_name
from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.models import ModelConfig
from vtsearch.models.backbones import is_known
from vtsearch.training import run_folder as files
from vtsearch.training.config import TrainConfig, config_of, flat
from vtsearch.training.devices import this_process
from vtsearch.training.loop import train
from vtsearch.training.presets import PRESETS, preset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtsearch.training.result import RunResult

EXAMPLE = """  vtsearch train --protocol digits --framework csq --bits 32 --image_size 32 --no-pretrained
  vtsearch train --protocol cifar10@54000 --framework hashnet --options.continuation 5 --bits 64 --output runs/one
  vtsearch train --output runs/one --resume
  vtsearch train --preset paper --print_config > paper.yaml; vtsearch train --config paper.yaml --seed 1

The options of a framework are shown by its own help: vtsearch train --framework hashnet --help"""

# Which defaults and which flags there are depends on these words, so they are read before all others.
FIRST_WORDS: dict[str, Any] = {
    "framework": "csq",
    "preset": "modern",
    "protocol": "cifar10@54000",
    "weights": None,
}


def run(argv: list[str]) -> int:
    """Train; prints the mAP of the model beside its baselines."""
    first = _first_words(argv)
    words = parser(first)
    given = words.parse_args([*first.implied, *argv]).as_dict()
    config = config_of(given)
    output = Path(given["output"] or f"runs/{Path(config.protocol).name}-{config.framework}-{config.model.bits}")
    result = train(config, output, resume=given["resume"], progress=sys.stderr)
    if not this_process().is_main_process:
        return 0
    if given["json"]:
        print(json.dumps({"run": str(output), **dataclasses.asdict(result)}))
    else:
        print(_table(result, config, output))
    return 0


@dataclasses.dataclass(frozen=True)
class First:
    """The words that decide about the others."""

    framework: str
    preset: str
    protocol: str
    weights: str | None = None
    implied: tuple[str, ...] = ()
    """Words that stand before the user's own: a resumed run brings its configuration."""


def parser(first: First) -> CommandParser:
    """The words that this command understands, for a framework and with a preset's values as defaults."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    options = framework_class(first.framework).Options
    words = CommandParser("train", "Train a model that turns images into binary codes.", EXAMPLE)
    words.add_argument("--config", action="config", help="YAML file with any of the values below")
    words.add_argument("--output", default=None, help="folder of the run; by default runs/PROTOCOL-FRAMEWORK-BITS")
    words.add_argument("--resume", action="store_true", help="continue the run that --output already is")
    words.add_argument("--json", action="store_true", help="print the result as one JSON object")
    words.add_argument("--preset", choices=list(PRESETS), default=first.preset, help="recipe that the defaults are of")
    words.add_argument("--framework", choices=list(FRAMEWORKS), default=first.framework, help="training objective")
    words.add_class_arguments(TrainConfig, skip={"model", "framework", "options", "compile"}, instantiate=False)
    words.add_class_arguments(ModelConfig, skip={"pretrained"}, instantiate=False)
    words.add_argument(
        "--pretrained", action=ActionYesNo(no_prefix="no-"), default=True, help="begin with trained backbone weights"
    )
    words.add_argument(
        "--compile", action=ActionYesNo(no_prefix="no-"), default=False, help="let torch.compile translate the backbone"
    )
    words.add_class_arguments(options, "options", instantiate=False)
    defaults = _dotted(flat(preset(first.preset, first.framework, first.protocol)))
    backbone = Path(first.weights or "").name.removesuffix(".safetensors").removesuffix(".pth")
    if is_known(backbone):
        defaults["backbone"] = backbone
    words.set_defaults(defaults)
    return words


def _first_words(argv: list[str]) -> First:
    """Framework, preset and weights: from the flags, else from the file, else the defaults."""
    words = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in (*FIRST_WORDS, "config", "output"):
        words.add_argument(f"--{name}")
    words.add_argument("--resume", action="store_true")
    known, others = words.parse_known_args(argv)
    given = vars(known)
    implied: tuple[str, ...] = ()
    if given["resume"] and given["output"] and (saved := Path(given["output"]) / files.CONFIG).is_file():
        implied = ("--config", str(saved))
    tree: dict[str, Any] = {}
    for path in (*implied[1:], given["config"]):
        if path is not None:
            tree |= files.read_yaml(Path(path))
    chosen = {name: given[name] or tree.get(name) or default for name, default in FIRST_WORDS.items()}
    check_options(chosen["framework"], others)
    return First(**chosen, implied=implied)


def check_options(framework: str, words: list[str]) -> None:
    """Refuse an option that the framework does not have, with those that it has."""
    names = [field.name for field in dataclasses.fields(framework_class(framework).Options)]
    for word in words:
        flag, name = word.partition("=")[0], word.partition("=")[0].removeprefix("--options.")
        if flag.startswith("--options.") and name not in names:
            raise ValueError(f"options: {framework} has {', '.join(names)}, not {name!r}")


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            values |= _dotted(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def _table(result: RunResult, config: TrainConfig, output: Path) -> str:
    others = {} if result.symmetric is None else {"symmetric use": result.symmetric}
    if result.best_epoch != result.epochs and result.chosen:
        others |= {f"best epoch ({result.best_epoch})": result.chosen}
    rows = {"trained model": result.final, **others, **result.baselines}
    width = max(map(len, rows))
    scores = [f"{name:{width}}  {s['expected']:.4f}   {s['worst']:.4f} to {s['best']:.4f}" for name, s in rows.items()]
    best = f"best/ (epoch {result.best_epoch}, mAP {result.best:.4f} on {result.chosen_on})"
    run_words = f"protocol {config.protocol}, {config.framework}, {config.model.bits} bits, seed {config.seed}"
    remark = [f"warning: this is {result.remark}"] if result.remark else []
    lines = [
        f"{'':{width}}  {map_name(result.k)}  by order of ties",
        *scores,
        f"{run_words}, ties expected, normalizer retrieved",
        *remark,
        f"trained {result.epochs} epochs in {result.seconds:.0f} s, {result.images_per_second:.0f} images/s",
        f"{output}: report.md, final/ (the model), codes/ (its codes), {best}",
    ]
    return "\n".join(lines)
