"""The Encoder: model, preprocessing, arithmetic and batching; the only way from an image to a code."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from vtsearch.codes import pack
from vtsearch.data.loading.loader import build_loader
from vtsearch.data.loading.tolerant_dataset import TolerantDataset
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.data.sources.image_source import ImageItems, pixel_rule_of
from vtsearch.encoding.batches import EncodedBatch, StageSeconds
from vtsearch.encoding.image_inputs import ImageInputs
from vtsearch.encoding.precision import autocast, resolve_precision
from vtsearch.models import HashModel, load_model
from vtsearch.tensors.devices import usable_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.utils.data import Dataset

    from vtsearch.data.sources.decode import PixelRule
    from vtsearch.encoding.image_inputs import ImageInput
    from vtsearch.encoding.precision import Arithmetic, Precision

    Images = ImageItems | Iterable[ImageInput]
    Positions = Sequence[int] | NDArray[np.int64]
    Progress = Callable[[int], object]

Batch = TypeVar("Batch")
CPU_SHAPE = 8
"""Images per forward pass on a CPU, where larger passes are no faster (docs/models.md)."""


class Encoder:
    """Codes of images by one model in one arithmetic.

    The rounding of a matrix product depends on its shape. All forward passes of an encoder therefore have one shape;
    short ones are filled up. So other images in a list do not change a code. On some processors the row of a pass in
    which an image stands may round a feature of a very small network by 1e-7; codes change only where a feature is
    that close to 0.

    Args:
        model: a model, the folder of one, or ``user/name`` of the Hugging Face hub.
        device: by default where the model is; for a folder a GPU if there is one, else the CPU.
        precision: arithmetic of the forward pass; "auto" is bf16 where the device has it, else fp32.
        batch_size: images loaded at a time, at least 1; on a GPU also the images per forward pass, on a CPU these
            are always 8.
        workers: loading processes; by default none on a CPU.

    Raises:
        FileNotFoundError: no such folder and no such repository.
        ValueError: batch_size below 1, a precision that is unknown or not the device's, or a device that this machine
            does not have.
        VtsearchError: the folder is not a model, or is damaged.
    """

    def __init__(
        self,
        model: HashModel | str | Path,
        *,
        device: torch.device | str | None = None,
        precision: Precision = "auto",
        batch_size: int = 128,
        workers: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        if isinstance(model, HashModel):
            self._model = model
            usual = next(model.parameters()).device
        else:
            self._model = load_model(model)
            usual = usable_device()
        self._device = usual if device is None else usable_device(device)
        self._arithmetic = resolve_precision(precision, self._device)
        self._shape = CPU_SHAPE if self._device.type == "cpu" else batch_size
        self._loaded = -(-batch_size // self._shape) * self._shape
        self._workers = workers

    @property
    def model(self) -> HashModel:
        """The model; encoding moves it to the encoder's device and leaves its mode (train or eval) as it was."""
        return self._model

    @property
    def bits(self) -> int:
        """Length of the codes."""
        return self._model.bits

    @property
    def arithmetic(self) -> Arithmetic:
        """bf16, fp16 or fp32: the precision as resolved for the device."""
        return self._arithmetic

    @property
    def images_per_batch(self) -> int:
        """Of all batches but the last, a multiple of those of a forward pass."""
        return self._loaded

    @property
    def fingerprints(self) -> dict[str, str]:
        """Identity of the codes of your own images: sha256 of "model" and "preprocessing", and the "arithmetic"."""
        return self.fingerprints_by("upright")

    def fingerprints_of(self, source: ImageItems) -> dict[str, str]:
        """Identity of the codes of a source: its rule for pixels belongs to "preprocessing"."""
        return self.fingerprints_by(pixel_rule_of(source))

    def fingerprints_by(self, rule: PixelRule) -> dict[str, str]:
        """Identity of the codes of images whose pixels are read by a rule: "upright" or "published"."""
        return code_fingerprints(self._model, rule, self._arithmetic)

    def query_fingerprints(self, indexed: Mapping[str, str]) -> dict[str, str]:
        """Identity of the codes of your own images as queries of an index with these fingerprints.

        Your own images are read upright whatever the rule of the index: both rules give pictures for the same model.
        """
        is_published = indexed.get("preprocessing") == self._model.preprocessing.fingerprint("published")
        return self.fingerprints_by("published" if is_published else "upright")

    @property
    def fingerprint(self) -> str:
        """One sha256 over weights, preprocessing and arithmetic."""
        return hashlib.sha256(json.dumps(self.fingerprints, sort_keys=True).encode()).hexdigest()

    def encode(
        self, images: Images, positions: Positions | None = None, *, progress: Progress | None = None
    ) -> NDArray[np.uint8]:
        """(n, ceil(bits / 8)) uint8 codes, in the order of the images: bit i is ``feature[i] > 0``, as ``pack`` packs.

        Args:
            images: an image source (``ImageItems``: it has ``__len__``, ``load`` and ``id``); or Pillow images, paths,
                uint8 arrays (h, w, 3) and uint8 tensors (3, h, w), mixed.
            positions: (n,) which images, in this order; by default all.
            progress: called after each batch with the number of images in it.

        Raises:
            TypeError: an image of another kind, or pixels that are not uint8.
            ValueError: pixels of another shape, or positions outside the images.
            FileNotFoundError: an image file that does not exist.
            VtsearchError: an image file that cannot be read.
        """
        source, chosen = _source(images), positions
        codes = np.zeros((len(source) if chosen is None else len(chosen), -(-self.bits // 8)), dtype=np.uint8)
        for rows, features in self._outputs(self._model, source, chosen, progress):
            codes[rows] = pack(features)
        return codes

    def batches(self, source: ImageItems, positions: Positions) -> Iterator[EncodedBatch]:
        """Codes batch by batch, in the order of the positions; images that cannot be read are reported, not raised.

        A black image takes the place of one that cannot be read, so that the codes of all others are those that
        ``encode`` gives. Each batch is of the same number of images, a multiple of those of a forward pass.

        Args:
            source: the images.
            positions: (n,) which of them.

        Raises:
            OSError: an error of the system rather than of an image, such as too many open files.
        """
        chosen = np.asarray(positions, dtype=np.int64)
        items = TolerantDataset(source, chosen, self._model.preprocessing)
        began = time.perf_counter()
        for batch in self._loads(items, len(chosen)):
            loaded = time.perf_counter()
            codes = self.encode_pixels(batch.images)
            encoded = time.perf_counter()
            seconds = StageSeconds(batch.seconds, encoded - loaded, loaded - began)
            yield EncodedBatch(batch.rows.numpy(), codes, batch.faults, batch.facts, seconds)
            began = time.perf_counter()

    def encode_pixels(self, pixels: Tensor) -> NDArray[np.uint8]:
        """(b, bytes) codes of preprocessed images, uint8 (b, 3, image_size, image_size), as ``batches`` gives them.

        It is called within ``evaluating``.
        """
        return pack(self._forward(self._model, pixels))

    def features(
        self, images: Images, positions: Positions | None = None, *, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """(n, bits) float32 features of images, in their order; arguments and errors as of ``encode``."""
        return self.outputs(self._model, self.bits, images, positions, progress=progress)

    def outputs(
        self,
        function: Callable[[Tensor], Tensor],
        width: int,
        images: Images,
        positions: Positions | None = None,
        *,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """(n, width) float32 outputs of a function that uses parts of the model; otherwise as ``features``.

        Args:
            function: of preprocessed images (b, 3, h, w) to (b, width).
            width: of its outputs.
            images: as of ``encode``.
            positions: as of ``encode``.
            progress: as of ``encode``.
        """
        source = _source(images)
        outputs = np.zeros((len(source) if positions is None else len(positions), width), dtype=np.float32)
        for rows, values in self._outputs(function, source, positions, progress):
            outputs[rows] = values
        return outputs

    def _outputs(
        self,
        function: Callable[[Tensor], Tensor],
        source: ImageItems,
        positions: Positions | None,
        progress: Progress | None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Batches of rows (b,) with the function's outputs (b, width)."""
        chosen = np.arange(len(source)) if positions is None else np.asarray(positions, dtype=np.int64)
        items = ImageDataset(source, chosen, self._model.preprocessing)
        for images, _, rows in self._loads(items, len(items)):
            yield rows.numpy(), self._forward(function, images)
            if progress is not None:
                progress(len(rows))

    def _loads(self, items: Dataset[Batch], count: int) -> Iterator[Batch]:
        """Batches of ``count`` items, while the model is on the encoder's device and in mode eval."""
        size = self._loaded
        batches = [list(range(start, min(start + size, count))) for start in range(0, count, size)]
        workers = 0 if len(batches) == 1 else self._workers  # starting processes takes longer than one batch
        with self.evaluating():
            yield from build_loader(items, batches, device=self._device, workers=workers)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model on the encoder's device and in mode eval."""
        was_training = self._model.training
        self._model.to(self._device).eval()
        try:
            yield
        finally:
            self._model.train(was_training)

    def _forward(self, function: Callable[[Tensor], Tensor], images: Tensor) -> NDArray[np.float32]:
        """Outputs (b, width) of images, uint8 (b, 3, h, w), in passes of one shape."""
        outputs = []
        for part in torch.split(images, self._shape):
            missing = self._shape - len(part)
            filled = torch.cat([part, part[:1].expand(missing, -1, -1, -1)]) if missing else part
            with torch.inference_mode(), autocast(self._device, self._arithmetic):
                normalized = self._model.preprocessing.normalize(filled.to(self._device, non_blocking=True))
                outputs.append(function(normalized).float()[: len(part)].cpu())
        return torch.cat(outputs).numpy()


def code_fingerprints(model: HashModel, rule: PixelRule, arithmetic: Arithmetic) -> dict[str, str]:
    """Identity of the codes of a model, of pixels read by a rule and in an arithmetic, wherever they are made."""
    preprocessing = model.preprocessing.fingerprint(rule)
    return {"model": model.fingerprint(), "preprocessing": preprocessing, "arithmetic": arithmetic}


def _source(images: Images) -> ImageItems:
    return images if isinstance(images, ImageItems) else ImageInputs(images)
