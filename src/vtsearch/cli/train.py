"""``vtsearch train``: a model from a protocol, with its codes and a report."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ActionYesNo, set_parsing_settings

from vtsearch._yaml import read_yaml
from vtsearch.cli.backbones import add_pretrained_argument, backbone_of
from vtsearch.cli.output import check_output_folder, json_text
from vtsearch.cli.parser import CommandParser, FirstParser, check_lengths, check_values
from vtsearch.errors import VtsearchError, first_line
from vtsearch.evaluation import map_name
from vtsearch.frameworks import FRAMEWORKS, framework_class, own
from vtsearch.models import ModelConfig
from vtsearch.training import run_folder as files
from vtsearch.training.config import TrainConfig, flat
from vtsearch.training.devices import leave_processes, this_process
from vtsearch.training.loop import train
from vtsearch.training.presets import PRESETS, completed, preset
from vtsearch.training.start import model_to_train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtsearch.training.result import RunResult, Score

EXAMPLE = """  vtsearch train --protocol digits --framework csq --bits 32 --image-size 32 --no-pretrained
  vtsearch train --protocol cifar10@54000 --framework hashnet --options.continuation 5 --bits 64 --output runs/one
  vtsearch train --protocol digits --framework my_file.py:MyLoss --output runs/mine
  vtsearch train --protocol photos --start-from runs/one --image-size 160 --output runs/two
  vtsearch train --output runs/one --resume
  vtsearch train --preset paper --print-config > paper.yaml; vtsearch train --config paper.yaml --seed 1

The options of a framework are shown by its own help: vtsearch train --framework hashnet --help"""

# The other flags and their defaults depend on these values, so they are parsed first.
FIRST: dict[str, Any] = {
    "framework": "csq",
    "preset": "modern",
    "protocol": "cifar10@54000",
    "weights": None,
    "start_from": None,
}


def run(argv: list[str]) -> int:
    """Train; prints the mAP of the model beside its baselines."""
    argv = _with_nested(argv)
    first = _parse_first(argv)
    args = parser(first).parse_args([*first.implied, *argv]).as_dict()
    if args["start_from"] is not None and args["pretrained"]:
        raise ValueError("pretrained: expected false with start_from, got true")
    config = completed(args, preset(first.preset, first.framework, first.protocol))
    framework = own.class_name(config.framework)
    output = Path(args["output"] or f"runs/{Path(config.protocol).name}-{framework}-{config.model.bits}")
    check_output_folder("output", str(output))
    result = train(config, output, resume=args["resume"], progress=sys.stderr)
    is_main = this_process().is_main_process
    leave_processes()
    if not is_main:
        return 0
    if args["json"]:
        print(json_text({"run": str(output), **dataclasses.asdict(result)}, indent=None))
    else:
        print(_table(result, config, output))
    return 0


def _with_nested(argv: list[str]) -> list[str]:
    """``--bits 8,16,32`` as ``--bits 32 --nested 8,16``."""
    words: list[str] = []
    for word in argv:
        is_value = bool(words) and words[-1] == "--bits"
        flag, value = ("", word) if is_value else (word[:7], word[7:]) if word.startswith("--bits=") else ("", "")
        shorter, comma, longest = value.rpartition(",")
        words += [f"{flag}{longest}", f"--nested={shorter}"] if comma else [word]
    return words


@dataclasses.dataclass(frozen=True)
class First:
    """Arguments on which the flags and defaults of the others depend."""

    framework: str
    preset: str
    protocol: str
    weights: str | None = None
    start_from: str | None = None
    implied: tuple[str, ...] = ()
    """Arguments placed before the user's: the configuration of a resumed run."""


def parser(first: First) -> CommandParser:
    """Build the argument parser for a framework, with the values of a preset as defaults."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    options = framework_class(first.framework).Options
    command = CommandParser("train", "Train a model that turns images into binary codes.", EXAMPLE)
    command.add_argument("--config", action="config", help="YAML file with any of the values below")
    command.add_argument("--output", default=None, help="folder of the run; by default runs/PROTOCOL-FRAMEWORK-BITS")
    command.add_argument("--resume", action="store_true", help="continue the run in --output, also with more --epochs")
    command.add_argument("--json", action="store_true", help="print the result as one JSON object")
    command.add_argument(
        "--preset",
        choices=list(PRESETS),
        default=first.preset,
        help="preset that supplies the defaults: modern is recommended, paper repeats the framework's publication, "
        "transhash is a reconstruction of TransHash, with --framework dch",
    )
    command.add_argument(
        "--framework",
        type=_framework,
        metavar="NAME",
        default=first.framework,
        help=f"training objective: {', '.join(FRAMEWORKS)}; or FILE.py:CLASS, a subclass of "
        "vtsearch.frameworks.Framework in a file of your own, which is run",
    )
    command.add_class_arguments(TrainConfig, skip={"model", "framework", "options", "compile"}, instantiate=False)
    command.add_class_arguments(ModelConfig, skip={"pretrained"}, instantiate=False)
    add_pretrained_argument(command)
    command.add_argument(
        "--compile", action=ActionYesNo(no_prefix="no-"), default=False, help="compile the backbone with torch.compile"
    )
    command.add_class_arguments(options, "options", instantiate=False)
    defaults = _dotted(flat(preset(first.preset, first.framework, first.protocol)))
    defaults["backbone"] = backbone_of(first.weights) or defaults["backbone"]
    if first.start_from is not None and not first.implied:
        defaults |= dataclasses.asdict(model_to_train(first.start_from))
    command.set_defaults(defaults)
    return command


def _framework(name: str) -> str:
    """The name of a framework, of a file with its absolute path."""
    return own.absolute(name)


def _parse_first(argv: list[str]) -> First:
    """Framework, preset, protocol and weights: from the flags, else from the YAML file, else the defaults."""
    check_lengths(argv)
    first = FirstParser()
    for name in (*FIRST, "config", "output"):
        first.add_argument(f"--{name.replace('_', '-')}", f"--{name}", dest=name)
    first.add_argument("--resume", action="store_true")
    known, others = first.parse_known_args(argv)
    args = vars(known)
    implied: tuple[str, ...] = ()
    if args["resume"] and args["output"] and (saved := Path(args["output"]) / files.CONFIG).is_file():
        implied = ("--config", str(saved))
    tree: dict[str, Any] = {}
    for path in (*implied[1:], args["config"]):
        if path is not None:
            tree |= _read_config(path)
    chosen = {name: args[name] or tree.get(name) or default for name, default in FIRST.items()}
    for name, value in chosen.items():
        if not isinstance(value, str | None):
            raise TypeError(f"{name}: expected text, got {value!r} in {args['config']}")
    check_options(chosen["framework"], others)
    return First(**chosen, implied=implied)


def _read_config(path: str) -> dict[str, Any]:
    """The names and values of a YAML file.

    Raises:
        OSError: no such file.
        ValueError: a file of something else.
    """
    check_values([("config", path)])
    try:
        return read_yaml(Path(path))
    except OSError as error:
        raise OSError(f"config: {error.strerror or error}: {path}") from error
    except (VtsearchError, TypeError) as reason:
        raise ValueError(
            f"config: expected a YAML file of names and values, got {path!r} ({first_line(reason)})"
        ) from reason


def check_options(framework: str, argv: list[str]) -> None:
    """Refuse an option that the framework does not have, and list those it has.

    Raises:
        ValueError: such an option; an unknown framework.
    """
    names = [field.name for field in dataclasses.fields(framework_class(framework).Options)]
    for argument in argv:
        flag = argument.partition("=")[0]
        name = flag.removeprefix("--options.").replace("-", "_")
        if flag.startswith("--options.") and name not in names:
            raise ValueError(f"options: {framework} has {', '.join(names) or 'none'}, not {name!r}")


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            values |= _dotted(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = value
    return values


def _score(values: Score) -> str:
    vote = f"   {values['vote']:.4f}" if "vote" in values else ""
    return f"{values['expected']:.4f}   {values['worst']:.4f} to {values['best']:.4f}{vote}"


def _table(result: RunResult, config: TrainConfig, output: Path) -> str:
    others = {} if result.symmetric is None else {"symmetric use": result.symmetric}
    if result.best_epoch != result.epochs and result.chosen:
        others |= {f"best epoch ({result.best_epoch})": result.chosen}
    others |= {f"its first {bits} bits": values for bits, values in result.prefixes.items()}
    others |= {f"classes {name}": values for name, values in result.unseen.items()}
    rows = {"trained model": result.final, **others, **result.baselines}
    width = max(map(len, rows))
    scores = [f"{name:{width}}  {_score(s)}" for name, s in rows.items()]
    best = f"best/ (epoch {result.best_epoch}, mAP {result.best:.4f} on {result.chosen_on})"
    about = f"protocol {config.protocol}, {config.framework}, {config.model.bits} bits, seed {config.seed}"
    remark = [f"warning: this is {result.remark}"] if result.remark else []
    lines = [
        f"{'':{width}}  {map_name(result.k)}  by order of ties{'   vote of 20' if 'vote' in result.final else ''}",
        *scores,
        f"{about}, ties expected, normalizer retrieved",
        *remark,
        *([f"stopped after epoch {result.epochs}: {result.stopped}"] if result.stopped else []),
        f"trained {result.epochs} epochs in {result.seconds:.0f} s, {result.images_per_second:.0f} images/s",
        f"{output}: report.html, report.md, final/ (the model), codes/ (its codes), {best}",
    ]
    return "\n".join(lines)
