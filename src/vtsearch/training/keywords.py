"""A run from Python, by keyword arguments: ``vtsearch.train``."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch import frameworks
from vtsearch.data.given import GivenImages, given_images
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.sources.manifest import SUFFIXES
from vtsearch.errors import suggestion
from vtsearch.exchange.hub import may_be_model
from vtsearch.frameworks import FRAMEWORKS, framework_class, register
from vtsearch.models import ModelConfig
from vtsearch.models.backbones import is_known
from vtsearch.training import loop
from vtsearch.training import run_folder as files
from vtsearch.training.config import TrainConfig, flat
from vtsearch.training.presets import completed
from vtsearch.training.presets import preset as preset_config
from vtsearch.training.start import model_to_train

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import TextIO

    from vtsearch.data.given import Images
    from vtsearch.frameworks.base import Framework
    from vtsearch.training.result import RunResult

MODEL_FIELDS = tuple(field.name for field in fields(ModelConfig))
OWN_ARGUMENTS = ("model", "framework", "protocol", "data", "start_from")
"""Fields of a run that ``train`` has arguments of its own for."""
PARTS = ("optimizer", "schedule", "options")
"""Fields of a run with fields of their own."""
RUN_FIELDS = tuple(field.name for field in fields(TrainConfig) if field.name not in OWN_ARGUMENTS)


def train(
    data: Images | None = None,
    *,
    output: str | PathLike[str],
    queries: Images | None = None,
    database: Images | None = None,
    name: str = "images",
    model: str | Path | ModelConfig | None = None,
    framework: str | type[Framework] | None = None,
    config: TrainConfig | None = None,
    preset: str = "modern",
    root: str | Path | None = None,
    resume: bool = False,
    progress: TextIO | None = None,
    **values: Any,
) -> RunResult:
    """Train a model on images in memory, in a data set of torch, in a folder or of a protocol; needs ``train``.

    Args:
        data: the images to train on: a pair of arrays ``(images, labels)``, uint8 (n, h, w, 3), and int (n,) or 0/1
            (n, classes); a data set of torch, whose items are an image (Pillow, or uint8 (h, w, 3)) and a label; a
            folder or table of images; or the name of a protocol. None takes that of `config`.
        output: folder of the run, new or empty.
        queries: images in the same forms but a protocol's. Without them queries, training images and database are
            drawn from `data`, as for a folder of images.
        database: likewise; by default the training images.
        name: of images that are given in Python, in the run and its reports.
        model: a backbone's name, or a configuration; or a trained model to begin with: a model folder, a run, or
            ``user/name`` of the Hugging Face hub. By default the preset's, or that of `config`.
        framework: a name, a file ``my_file.py:MyLoss``, or a subclass of ``Framework``; "csq", or that of `config`.
        config: a complete configuration instead of a preset.
        preset: "modern" or "paper", for all values that are not given.
        root: the folder of a protocol's data set; by default ``$VTSEARCH_DATA``.
        resume: continue the run in `output`, with the same images, to the results of an uninterrupted run.
        progress: stream for progress messages; None prints nothing.
        **values: fields of ``TrainConfig`` and ``ModelConfig``: ``epochs``, ``batch_size``, ``bits``, ... Those of
            ``optimizer``, ``schedule`` and ``options`` may be a mapping: ``optimizer={"lr": 1e-3}``.

    Returns:
        The scores; ``model`` is the Encoder of the best model.

    Raises:
        TypeError: a value of no such name; images, labels or values of another kind; no data.
        ValueError: images, labels or values that do not fit.
        FileExistsError: a folder that is not empty, without `resume`.
        VtsearchError: the folder of another run, or of other images; otherwise as ``vtsearch.training.loop.train``.
    """
    _check_names(values)
    given, protocol = _images(data, queries, database, name)
    if protocol is None and config is None:
        raise TypeError("data: expected images, a folder or the name of a protocol, got None")
    protocol = protocol or config.protocol  # type: ignore[union-attr]
    objective = _framework_name(framework) if framework is not None else config.framework if config else "csq"
    base = _base(config, preset, objective, protocol)
    network, start_from = _model(model, base, Path(output), resume=resume)
    network = replace(network, **{key: value for key, value in values.items() if key in MODEL_FIELDS})
    run = {key: value for key, value in values.items() if key in RUN_FIELDS}
    for part in PARTS:
        if part in run:
            run[part] = _updated(part, getattr(base, part), run[part])
    if start_from != base.start_from:
        run.setdefault("start_fingerprint", None)  # that of the configuration is another model's
    run |= {"protocol": protocol, "start_from": start_from} | ({} if root is None else {"data": str(root)})
    changed = {key: asdict(value) if key in PARTS and value is not None else value for key, value in run.items()}
    complete = completed(flat(base) | asdict(network) | changed, base)
    return loop.train(complete, output, images=given, resume=resume, progress=progress)


def _check_names(values: Mapping[str, Any]) -> None:
    known = (*RUN_FIELDS, *MODEL_FIELDS)
    for name in values:
        if name not in known:
            hint = suggestion(name, known)
            raise TypeError(f"{name}: expected a field of TrainConfig or ModelConfig, got {name!r}{hint}")


def _images(
    data: Images | None, queries: Images | None, database: Images | None, name: str
) -> tuple[GivenImages | None, str | None]:
    """The images that are given in Python, and the name of the protocol."""
    if data is None:
        if queries is not None or database is not None:
            raise TypeError("data: expected images to train on beside queries and database, got None")
        return None, None
    if isinstance(data, str | Path) and queries is None and database is None:
        return None, _protocol(data)
    given = given_images(data, queries, database, name=name)
    return given, given.protocol.name


def _protocol(data: str | Path) -> str:
    """A protocol's name, or the absolute path of images."""
    text, path = str(data), Path(data)
    if text in PROTOCOLS or not (path.is_dir() or path.suffix in SUFFIXES):
        return text
    return str(path.absolute())


def _framework_name(framework: str | type[Framework]) -> str:
    """The name of a framework; a class of the user's is registered under its own."""
    if isinstance(framework, str):
        return framework
    for name, cls in FRAMEWORKS.items():
        if getattr(framework, "__module__", "") == f"{frameworks.__name__}.{name}" and framework.__name__ == cls:
            return name
    if not isinstance(framework, type):
        raise TypeError(f"framework: expected a name or a subclass of Framework, got {type(framework).__name__}")
    register(framework.__name__, framework)
    return framework.__name__


def _base(config: TrainConfig | None, preset: str, framework: str, protocol: str) -> TrainConfig:
    if config is None:
        return preset_config(preset, framework, protocol)
    if framework == config.framework:
        return config
    return replace(config, framework=framework, options=framework_class(framework).Options())


def _model(
    model: str | Path | ModelConfig | None, base: TrainConfig, output: Path, *, resume: bool
) -> tuple[ModelConfig, str | None]:
    """The configuration of the model, and the trained model that the run begins with."""
    if model is None:
        return base.model, base.start_from
    if isinstance(model, ModelConfig):
        return model, None
    if not isinstance(model, str | Path):
        raise TypeError(
            f"model: expected a backbone's name, a ModelConfig or a model folder, got {type(model).__name__}"
        )
    if not isinstance(model, Path) and (is_known(model) or not may_be_model(model)):
        return replace(base.model, backbone=model), None
    return _begun_model(output) if resume and files.is_claimed(output) else model_to_train(str(model)), str(model)


def _begun_model(output: Path) -> ModelConfig:
    """The model of a run that has begun, which does without the one that it began with."""
    saved = files.read_config(output)
    return ModelConfig(**{name: saved[name] for name in MODEL_FIELDS if name in saved})


def _updated(name: str, current: Any, values: Any) -> Any:
    """A dataclass with the values of a mapping, or another one instead of it."""
    if is_dataclass(values) or values is None:
        return values
    if not isinstance(values, dict) or not is_dataclass(current) or isinstance(current, type):
        raise TypeError(f"{name}: expected a mapping of names to values, got {values!r}")
    known = [field.name for field in fields(current)]
    for each in values:
        if each not in known:
            raise TypeError(f"{name}: expected one of {', '.join(known)}, got {each!r}{suggestion(each, known)}")
    return replace(current, **values)
