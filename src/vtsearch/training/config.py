"""Configuration of a training run; the attribute docstrings are the help of `vtsearch train`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

from vtsearch._ranges import Range, whole
from vtsearch.data.loading.augmentation import Augmentation
from vtsearch.encoding.precision import Precision
from vtsearch.frameworks import framework_class, own
from vtsearch.models import ModelConfig
from vtsearch.training.effects import refuse_idle_values
from vtsearch.training.trackers import chosen_trackers
from vtsearch.training.trees import look_up

if TYPE_CHECKING:
    from collections.abc import Mapping

OptimizerName = Literal["adamw", "adam", "sgd"]
Images = Literal["auto", "loader", "device"]
Sampling = Literal["shuffled", "balanced"]
ScheduleName = Literal["one_cycle", "cosine", "constant"]

# What may change between the start of a run and its continuation, because no number depends on it.
FREE_ON_RESUME = frozenset(
    {"data", "workers", "checkpoint_minutes", "checkpoint_steps", "log_every", "timeout_minutes", "trackers"}
)
# What may differ between the nodes of a run: where a node has its images, and how many CPUs.
LOCAL = frozenset({"data", "workers"})


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimizer settings."""

    name: OptimizerName = "adamw"
    """Optimizer."""
    momentum: float = 0.9
    """Of sgd, with Nesterov's look ahead; 0 is plain descent. The others have their own."""
    lr: float = 2e-4
    """Highest learning rate of the run."""
    head_factor: float = 1.0
    """Learning rate of the head and of what the framework learns, relative to the backbone's last layer."""
    weight_decay: float = 0.05
    """Decay of weight matrices; biases and norms (tensors of one dimension) are left alone."""
    layer_decay: float = 1.0
    """Learning rate of a backbone layer relative to the layer above it, at most 1; 1 gives all layers the same."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 does not clip."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Learning rate schedule."""

    name: ScheduleName = "one_cycle"
    """Curve over the whole run: up and down again (one_cycle), straight up and a cosine down (cosine), or flat."""
    warmup: float = 0.2
    """Share of the run in which the rate rises; unused by constant."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A complete training run, without its output folder."""

    model: ModelConfig
    """Backbone and hash head."""
    start_from: str | None = None
    """A trained model to begin with instead of the backbone's weights: a model folder, a run (its best/), or user/name
    of the Hugging Face hub. Backbone and preprocessing are its own; so is the head, if bits, kind and shape are."""
    start_fingerprint: str | None = None
    """Fingerprint of that model; another one is refused. By default that of the model which is found there."""
    framework: str = "csq"
    """Training objective: a name, or a file of one's own with a subclass of Framework in it, my_file.py:MyLoss."""
    options: Any = None
    """The objective's own options (its `Options` dataclass); None means their defaults."""
    protocol: str = "cifar10@54000"
    """Data set with its query, train and database split and its k; or a folder of one's own images, one subfolder
    per class, or with query.txt, database.txt and train.txt or a manifest in it; or a manifest (.csv, .parquet)."""
    data: str | None = None
    """Folder that holds the data sets; by default $VTSEARCH_DATA."""
    strip_prefix: str | None = None
    """Beginning to remove from the paths in lists and tables, such as the folder of the images on another computer."""
    augment: str = "flip"
    """Random augmentation of training images: none, or joined by + any of flip; crop (a square of an image somewhat
    larger) or resized_crop (a rectangle of 8 to 100 %; resized_crop:0.35 of 35 to 100 %); rand (RandAugment) or
    trivial (TrivialAugment); erasing."""
    sampling: Sampling = "shuffled"
    """What an epoch consists of: each training image once (shuffled), or as many images, of each class equally many
    (balanced), for data whose classes differ in size."""
    nested: str | None = None
    """Shorter lengths, joined by commas and ascending, whose codes are the first bits of the model's: the framework's
    loss is then the mean over all lengths. `--bits 8,16,32` is `--bits 32 --nested 8,16`."""
    thresholds: float = 0.0
    """Largest threshold of a bit, in mean sizes of a feature of training images. Where the model is evaluated and
    written, each bit has a threshold of its own, evenly from minus to plus the largest, so that an image of which it is
    unsure does not tie with those that it is sure of. 0: the sign of a feature is its bit."""
    teaching: float = 0.0
    """Weight of what the longest of nested codes teaches the shorter ones: their pairs of images as similar as its."""
    classification: float = 0.0
    """Weight of the cross-entropy of a linear classifier on tanh of the features, beside the framework's loss; 0 is
    the framework alone. Another method by the letter, so it is off unless asked for."""
    smoothing: float = 0.0
    """Label smoothing of that classifier."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimizer settings."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """Learning rate schedule."""
    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 64
    """Images per batch and process."""
    accumulate: int = 1
    """Batches per optimizer step: their gradients are averaged by images. Images are compared within a batch alone."""
    seed: int = 0
    """Decides the split, the initial head, the order of images, augmentation and dropout."""
    precision: Precision = "auto"
    """Arithmetic of the forward pass; auto takes bf16 where the device has it. fp16 needs a GPU; its gradients are
    scaled."""
    tf32: bool = False
    """Whether training steps on a GPU compute products of float32 matrices in TF32: faster, with 10 bits of the
    mantissa."""
    evaluate_every: int = 0
    """Epochs between evaluations, whose best model is kept in best/; 0 evaluates at the end alone."""
    validation: float = 0.0
    """Share of the training images held out to choose the best epoch, by their mAP among themselves; 0 chooses on the
    protocol's queries. A share of fewer than 50 images is not held out, and the last epoch counts."""
    patience: int = 0
    """Evaluations in a row without a better score than the best one's, after which the run ends; 0 runs all epochs."""
    baselines: bool = True
    """Whether to evaluate baselines: the untrained model, its pooled backbone features, a linear classifier on them,
    and random codes."""
    workers: int | None = None
    """Processes that load images; by default 0 on CPU, up to 8 on GPU."""
    images: Images = "auto"
    """Where images are decoded: by the loader in each epoch, or once, then cached and augmented on the device;
    auto caches them if they fit cache_gib and decoding is worth saving."""
    cache_gib: float = 4.0
    """Largest cache of decoded images per process, in GiB."""
    mixup: float = 0.0
    """Alpha of mixup: training images are mixed in pairs by a share from the distribution Beta(alpha, alpha), with the
    losses of both labels in the same shares; for frameworks that compare no images with each other. 0 mixes nothing."""
    ema: float = 0.0
    """Decay, per step, of a moving average of the weights, which then is the model that is evaluated and saved; at the
    beginning of the run it is smaller. 0 takes the weights of the last step."""
    freeze: int = 0
    """Layers of a Vision Transformer that training leaves as they are, from the image on: the embedding of patches is
    the first, each block one more."""
    gradient_checkpointing: bool = False
    """Whether to keep only what enters each block, and to compute the rest again in the backward pass: larger batches
    in the same memory, a third more time."""
    compile: bool = False
    """Whether to compile the backbone with torch.compile: minutes at the start, faster steps on a GPU."""
    checkpoint_minutes: float = 5.0
    """Longest time between checkpoints inside an epoch; each epoch ends with one too."""
    checkpoint_steps: int = 0
    """Steps between checkpoints inside an epoch; 0 goes by time alone."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl; of several processes also between looks at checkpoint_minutes."""
    trackers: str | None = None
    """Where the lines of metrics.jsonl are shown too: none, or joined by commas any of tensorboard, wandb and trackio;
    by default tensorboard, if it is installed."""
    timeout_minutes: float = 30.0
    """Longest time that a process waits for the others, also while one of them evaluates; then the run ends."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            ValueError: a value outside its range, NaN and infinity included, or none of the choices; a value that does
                nothing beside another one.
            TypeError: a value of another kind than the field's.
        """
        tree = flat(self)
        for dotted, allowed in RANGES.items():
            value = look_up(tree, dotted)
            if not (value is None and dotted == "workers"):
                allowed.check(dotted, value)
        for dotted, choices in CHOICES.items():
            if look_up(tree, dotted) not in choices:
                raise ValueError(f"{dotted}: expected one of {', '.join(choices)}, got {look_up(tree, dotted)!r}")
        for name, kind in KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name}: expected {_KINDS[kind]}, got {getattr(self, name)!r}")
        for name in ("data", "strip_prefix", "nested", "start_from", "start_fingerprint", "trackers"):
            if not isinstance(getattr(self, name), str | None):
                raise TypeError(f"{name}: expected text or nothing, got {getattr(self, name)!r}")
        Augmentation.parsed(self.augment)
        chosen_trackers(self.trackers)
        _ = self.prefixes
        self._check_start()
        refuse_idle_values(tree, DEFAULTS)
        object.__setattr__(self, "framework", own.absolute(self.framework))  # a run is continued from any folder

    def _check_start(self) -> None:
        if self.start_from is None and self.start_fingerprint is not None:
            raise ValueError(f"start_fingerprint: expected none without start_from, got {self.start_fingerprint!r}")
        if self.start_from is None:
            return
        if self.model.weights is not None:
            raise ValueError(f"weights: expected none with start_from, got {self.model.weights!r}")
        object.__setattr__(self, "model", dataclasses.replace(self.model, pretrained=False))  # nothing is fetched

    @property
    def prefixes(self) -> tuple[int, ...]:
        """The shorter lengths of nested codes; empty for codes of one length.

        Raises:
            ValueError: no ascending numbers below the bits of the model.
        """
        texts = [] if self.nested is None else self.nested.split(",")
        lengths = tuple(int(text) if text.strip().isdecimal() else 0 for text in texts)
        if any(not a < b for a, b in pairwise((0, *lengths, self.model.bits))):
            raise ValueError(
                f"nested: expected ascending lengths below {self.model.bits}, the bits, joined by commas, "
                f"got {self.nested!r}"
            )
        return lengths


KINDS: dict[str, type[Any]] = {
    **dict.fromkeys(("baselines", "tf32", "gradient_checkpointing", "compile"), bool),
    **dict.fromkeys(("framework", "protocol"), str),
}
"""Name of each field of a run that is true or false, or text -> its type."""

RANGES = {
    "epochs": whole(1, 1_000_000),
    "batch_size": whole(1, 1_000_000),
    "accumulate": whole(1, 1_000_000),
    "freeze": whole(0, 1_000_000),
    "seed": whole(0, 2**63 - 1),
    "evaluate_every": whole(0),
    "patience": whole(0),
    "workers": whole(0, 1024),
    "cache_gib": Range(),
    "checkpoint_minutes": Range(),
    "checkpoint_steps": whole(0),
    "log_every": whole(1),
    "timeout_minutes": Range(most=1_000_000, above=True),
    "thresholds": Range(),
    "teaching": Range(),
    "classification": Range(),
    "smoothing": Range(most=1, below=True, noun="a share"),
    "mixup": Range(),
    "ema": Range(most=1, below=True),
    "validation": Range(most=1, below=True, noun="a share"),
    "optimizer.lr": Range(above=True),
    "optimizer.head_factor": Range(above=True),
    "optimizer.momentum": Range(most=1, below=True),
    "optimizer.weight_decay": Range(),
    "optimizer.layer_decay": Range(most=1, above=True),
    "optimizer.clip": Range(),
    "schedule.warmup": Range(most=1, below=True, noun="a share"),
}
"""Dotted name of each number of a run -> what it may be."""

CHOICES = {
    "precision": get_args(Precision),
    "images": get_args(Images),
    "sampling": get_args(Sampling),
    "optimizer.name": get_args(OptimizerName),
    "schedule.name": get_args(ScheduleName),
}
"""Dotted name of each choice of a run -> its values."""

DEFAULTS = {
    **{each.name: each.default for each in dataclasses.fields(ModelConfig)},
    **{each.name: each.default for each in dataclasses.fields(TrainConfig) if each.name != "model"},
    "optimizer": dataclasses.asdict(OptimizerConfig()),
    "schedule": dataclasses.asdict(ScheduleConfig()),
}
"""The default of each field, in the form of `flat`."""

_KINDS = {bool: "true or false", str: "text"}


def flat(config: TrainConfig) -> dict[str, Any]:
    """The tree that config.yaml and the command line share: the model's fields stand beside the run's own."""
    tree = dataclasses.asdict(config)
    model = tree.pop("model")
    return {**model, **tree}


def config_of(tree: Mapping[str, Any]) -> TrainConfig:
    """The reverse of `flat`; names that are no part of a configuration are left alone.

    Raises:
        TypeError: an option that the framework, the optimizer or the schedule does not have.
        ValueError: an unknown framework, values that no run can have.
    """
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    parts = {
        "model": ModelConfig(**{f.name: tree[f.name] for f in dataclasses.fields(ModelConfig) if f.name in tree}),
        "options": framework_class(tree["framework"]).Options(**(tree.get("options") or {})),
        "optimizer": OptimizerConfig(**tree["optimizer"]),
        "schedule": ScheduleConfig(**tree["schedule"]),
    }
    return TrainConfig(**{name: value for name, value in tree.items() if name in known} | parts)
