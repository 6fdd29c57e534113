"""An encoder whose images are read, and whose models run, on a Ray cluster; codes come back to this process."""

from __future__ import annotations

import json
import logging
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.loading.tolerant_dataset import Fault
from vtsearch.data.sources.image_source import pixel_rule_of
from vtsearch.encoding.batches import EncodedBatch, StageSeconds
from vtsearch.encoding.chunks import facts_of
from vtsearch.encoding.encoder import Encoder, code_fingerprints
from vtsearch.errors import VtsearchError, require_extra
from vtsearch.models import HashModel, load_model
from vtsearch.scale.apart import Attempts, Task
from vtsearch.scale.model_transfer import model_files, model_of
from vtsearch.scale.stages import ImageReading, ModelRun, own_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.encoding.precision import Arithmetic, Precision

MOST_BLOCKS = 20_000
"""Of the work of one encoding: Ray keeps a record of each."""


class RayEncoder:
    """Codes of images as those of ``Encoder``, by processes on a Ray cluster; this process is connected to it.

    Images are read in processes of their own, so that many CPUs feed few GPUs. Batches come back in their order. What
    a process, or a node, was doing when it ended is done again by others; an image at which its process ends each time
    is reported as one that cannot be read.

    Every node sees the images at the same paths; the model is sent to them.

    Args:
        model: a model, or the folder of one.
        device: of the models; by default the GPU that Ray gives to each, else the CPU.
        precision: as for ``Encoder``; all nodes compute in the same arithmetic.
        batch_size: as for ``Encoder``.
        decoders: processes that read images; by default as many as the cluster has CPUs, less those of the models. The
            number is fixed: a cluster that grows on demand grows to it.
        models: models, each in a process; by default one for each GPU, or half of the CPUs.
        root: folder of all images, if there is one: a node that does not see it is an error, rather than one for each
            of its images.

    Raises:
        FileNotFoundError: no such model.
        ValueError: a number below 1; as ``Encoder``.
        VtsearchError: the folder is not a model, or is damaged.
    """

    def __init__(
        self,
        model: HashModel | str | Path,
        *,
        device: str | None = None,
        precision: Precision = "auto",
        batch_size: int = 128,
        decoders: int | None = None,
        models: int | None = None,
        root: Path | None = None,
    ) -> None:
        for name, number in (("batch_size", batch_size), ("decoders", decoders), ("models", models)):
            if number is not None and number < 1:
                raise ValueError(f"{name}: expected at least 1, got {number}")
        self._ray = require_extra("ray")
        require_extra("ray.data")
        self._model = model if isinstance(model, HashModel) else load_model(model)
        self._root, resources = root, self._ray.cluster_resources()
        cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
        self._on_gpus = gpus > 0 and device != "cpu"
        self._models = models or (gpus if self._on_gpus else max(cpus // 2, 1))
        self._decoders = decoders or max(cpus - (0 if self._on_gpus else self._models), 1)
        self._cpus_each = 1.0 if cpus > 1 else 0.5  # one has both stages
        self._free = {"CPU": cpus / self._cpus_each, "GPU": gpus}
        self._options: dict[str, Any] = {"device": device, "precision": precision, "batch_size": batch_size}
        self._files = self._ray.put(model_files(self._model))
        self._arithmetic, self._size = self._asked()

    @property
    def remarks(self) -> tuple[str, ...]:
        """A sentence for each kind of resource of which the cluster has too few by now."""
        wanted = {"CPU": self._decoders + (0 if self._on_gpus else self._models)}
        wanted |= {"GPU": self._models} if self._on_gpus else {}
        return tuple(
            f"the cluster has {kind}s for {self._free[kind]:.0f} of {count} processes: others wait until it has more"
            for kind, count in wanted.items()
            if count > self._free[kind]
        )

    @property
    def model(self) -> HashModel:
        """The model, as it is sent to the nodes."""
        return self._model

    @property
    def bits(self) -> int:
        """Length of the codes."""
        return self._model.bits

    @property
    def arithmetic(self) -> Arithmetic:
        """bf16 or fp32: the precision as resolved on a node."""
        return self._arithmetic

    @property
    def images_per_batch(self) -> int:
        """Of all batches but the last."""
        return self._size

    def fingerprints_of(self, source: ImageItems) -> dict[str, str]:
        """Identity of the codes of a source, as of ``Encoder``."""
        return code_fingerprints(self._model, pixel_rule_of(source), self._arithmetic)

    def batches(self, source: ImageItems, positions: Sequence[int] | NDArray[np.int64]) -> Iterator[EncodedBatch]:
        """Codes batch by batch, as of ``Encoder.batches``.

        Raises:
            FileNotFoundError: a node does not see the folder of the images.
            OSError: an error of the system rather than of an image.
            VtsearchError: nodes compute in different arithmetic; an error of a model, such as too large a batch.
        """
        chosen = np.asarray(positions, dtype=np.int64)
        task = self._ray.put(Task(source, chosen, self._model.preprocessing, self._size, self._root))
        attempts = self._ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Attempts).remote()
        try:
            yield from map(_batch, self._rows(task, attempts, -(-len(chosen) // self._size)))
        except self._ray.exceptions.RayError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise VtsearchError(f"ray: {lines[-1] if lines else type(error).__name__}") from error

    def _rows(self, task: Any, attempts: Any, count: int) -> Iterator[dict[str, Any]]:
        """The batches in their order, as the models send them back."""
        data = self._ray.data
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        numbers = data.from_items([*range(count)], override_num_blocks=max(min(count, MOST_BLOCKS), 1))
        read = numbers.map_batches(
            ImageReading,
            batch_size=1,
            fn_constructor_args=([task], attempts),
            compute=data.ActorPoolStrategy(size=self._decoders),
            num_cpus=self._cpus_each,
        )
        encoded = read.map_batches(
            ModelRun,
            batch_size=1,
            fn_constructor_args=([self._files],),
            fn_constructor_kwargs={**self._options, "arithmetic": self._arithmetic},
            compute=data.ActorPoolStrategy(size=self._models),
            **self._share(),
        )
        yield from encoded.iter_rows()

    def _share(self) -> dict[str, float]:
        """What Ray reserves for a model."""
        return {"num_cpus": 0, "num_gpus": 1} if self._on_gpus else {"num_cpus": self._cpus_each}

    def _asked(self) -> tuple[Arithmetic, int]:
        """The arithmetic, and the images of a batch, of an encoder on a node such as the models have."""
        probe = self._ray.remote(**self._share())(_probe)
        found: tuple[Arithmetic, int] = self._ray.get(probe.remote(self._files, self._options))
        return found


def _probe(files: dict[str, bytes], options: dict[str, Any]) -> tuple[Arithmetic, int]:
    encoder = Encoder(model_of(files), **{**options, "device": options["device"] or own_device()})
    return encoder.arithmetic, encoder.images_per_batch


def _batch(row: dict[str, Any]) -> EncodedBatch:
    """What the models send back, as encoders give it; raises the error that came in place of images."""
    if row["error"]:
        raise pickle.loads(bytes.fromhex(row["error"]))  # noqa: S301 (of our own processes)
    start, count = int(row["start"]), int(row["count"])
    faults = [Fault(int(at), str(reason)) for at, reason in json.loads(row["faults"])]
    facts = [facts_of(fields) for fields in json.loads(row["facts"])]
    seconds = StageSeconds(float(row["decode"]), float(row["model"]), float(row["waiting"]))
    return EncodedBatch(np.arange(start, start + count), np.array(row["codes"][:count]), faults, facts, seconds)
