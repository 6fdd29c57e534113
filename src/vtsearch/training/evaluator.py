"""Evaluation of a model on the protocol: codes of queries and database, mAP, and baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils import gather_object

from vtsearch.codes import pack, prefix
from vtsearch.encoding.encoder import Encoder
from vtsearch.encoding.evaluation import Sides, evaluate_at, evaluate_codes
from vtsearch.evaluation import evaluate
from vtsearch.models.backbones import registers_of
from vtsearch.models.heads import pooled
from vtsearch.training.baselines import class_codes, coin_flips, random_projection
from vtsearch.training.coordination import by_main
from vtsearch.training.sampler import COIN_SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data import RetrievalData, Split
    from vtsearch.encoding.precision import Precision
    from vtsearch.evaluation import Evaluation
    from vtsearch.models import HashModel
    from vtsearch.training.progress import Progress


class ModelEvaluator:
    """Encodes with the current model, each process its share of the images; the main one evaluates the codes."""

    def __init__(
        self, model: HashModel, data: RetrievalData, accelerator: Accelerator, progress: Progress, precision: Precision
    ) -> None:
        self._model, self._data = model, data
        self._accelerator, self._progress, self._precision = accelerator, progress, precision
        self._encoder = Encoder(model, device=accelerator.device, precision=precision)

    def of(self, model: HashModel) -> ModelEvaluator:
        """The same for another model on this process's device."""
        return ModelEvaluator(model, self._data, self._accelerator, self._progress, self._precision)

    def codes(self, positions: NDArray[np.int64], label: str) -> NDArray[np.uint8]:
        """(n, bytes) uint8 codes of the images at n positions; `label` is shown with the progress."""
        share = self._share(positions)
        with self._progress.counting(f"encoding {label}", len(share)) as count:
            mine = self._encoder.encode(self._data.source, share, progress=count)
        return np.concatenate(gather_object([mine]))

    def feature_size(self, positions: NDArray[np.int64]) -> float:
        """The mean of the absolute features of the images at these positions."""
        mine = np.abs(self._encoder.features(self._data.source, self._share(positions))).mean(axis=1)
        return float(np.concatenate(gather_object([mine])).mean())

    def on_protocol(self, learned: Tensor | None = None) -> tuple[Sides, Evaluation]:
        """Codes of the protocol's query and database, and all their scores at its k.

        Args:
            learned: (n, bits) codes of the database, in its order, instead of the model's; only the sign matters.
        """
        query, database = _parts(self._data.split)
        sides = Sides(self.codes(*query), self.codes(*database) if learned is None else pack(learned), self._model.bits)
        return sides, self._evaluate_protocol(sides)

    def on_prefixes(self, sides: Sides, lengths: Sequence[int]) -> dict[int, Evaluation]:
        """Scores of the first bits of the protocol's codes, for each of these lengths."""
        found = {}
        for bits in lengths:
            shorter = Sides(prefix(sides.query, bits), prefix(sides.database, bits), bits)
            found[bits] = self._evaluate_protocol(shorter)
        return found

    def on_unseen(self, sides: Sides) -> dict[str, Evaluation]:
        """Scores of queries of seen and of unseen classes; none where all classes have training images.

        "seen" and "unseen" are among database images of such classes, "seen in all" and "unseen in all" among all.
        """
        labels, split = self._data.source.labels, self._data.split
        if labels.ndim > 1:
            return {}
        trained = np.unique(labels[split.train])
        parts = [np.isin(labels[each], trained) for each in (split.query, split.database)]
        if parts[0].all():
            return {}
        groups = {"seen": parts, "unseen": [~part for part in parts]}
        found = {}
        for name, (query, database) in groups.items():
            for suffix, kept in (("", database), (" in all", np.ones_like(database))):
                part = Sides(sides.query[query], sides.database[kept], sides.bits)
                at = split.query[query], split.database[kept]
                found[name + suffix] = self._evaluate(part, *at, self._data.protocol.k)
        return found

    def on_held_out(self, held_out: NDArray[np.int64], fit: NDArray[np.int64]) -> tuple[Evaluation, Evaluation]:
        """Scores of held-out training images as queries: among themselves, and against the others, over all of them."""
        codes, bits = self.codes(held_out, "validation"), self._model.bits
        labels = self._data.source.labels[held_out]
        among = by_main(lambda: evaluate(codes, codes, labels, labels, bits=bits, exclude="self"))
        return among, self._evaluate(Sides(codes, self.codes(fit, "training images"), bits), held_out, fit, None)

    def of_baselines(self, seed: int) -> dict[str, Evaluation]:
        """Scores of the baselines on the protocol.

        "untrained model" is the model as it is; "pooled features" are the signs of a random projection of its
        backbone's mean tokens but registers (of a CNN, its pooled features): what the backbone knows without any
        training of ours;
        "linear classifier" is a bit for each class that one takes them for, where images have one class each;
        "random codes" are coin flips.
        """
        bits, split, labels = self._model.bits, self._data.split, self._data.source.labels
        random = np.random.Generator(np.random.PCG64((seed, COIN_SEED)))
        train = split.train if labels.ndim == 1 else split.train[:0]
        items = np.union1d(split.database, train)  # training images that are searched too are encoded once
        query, outputs = (self._features_and_tokens(*part) for part in ((split.query, "query"), (items, "database")))
        database = outputs[np.searchsorted(items, split.database)]
        tokens = query[:, bits:], database[:, bits:]
        found = {
            "untrained model": Sides(pack(query[:, :bits]), pack(database[:, :bits]), bits),
            "pooled features": random_projection(*tokens, bits, random),
        }
        if len(train):
            known = outputs[np.searchsorted(items, train), bits:]
            found["linear classifier"] = class_codes(*tokens, known, labels[train])
        found["random codes"] = coin_flips(len(query), len(database), bits, random)
        return {name: self._evaluate_protocol(sides) for name, sides in found.items()}

    def _features_and_tokens(self, positions: NDArray[np.int64], label: str) -> NDArray[np.float32]:
        """(n, bits + width) features and mean tokens of the images at n positions, in one pass."""
        model, registers = self._model, registers_of(self._model.backbone)

        def both(images: Tensor) -> Tensor:
            outputs = model.backbone_outputs(images)  # (b, tokens, width) or (b, width)
            return torch.cat([model.head(outputs), pooled(outputs, registers)], dim=1)  # (b, bits + width)

        share = self._share(positions)
        with self._progress.counting(f"encoding {label}", len(share)) as count:
            mine = self._encoder.outputs(both, model.bits + model.width, self._data.source, share, progress=count)
        return np.concatenate(gather_object([mine]))

    def _share(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of the work."""
        shares: list[NDArray[np.int64]] = np.array_split(positions, self._accelerator.num_processes)
        mine: int = self._accelerator.process_index
        return shares[mine]

    def _evaluate(
        self, sides: Sides, query: NDArray[np.int64], database: NDArray[np.int64], k: int | None
    ) -> Evaluation:
        """Scores at k of the codes of images at these positions."""
        return by_main(lambda: evaluate_at(sides, self._data, query, database, k=k))

    def _evaluate_protocol(self, sides: Sides) -> Evaluation:
        return by_main(lambda: evaluate_codes(sides, self._data))


def _parts(split: Split) -> list[tuple[NDArray[np.int64], str]]:
    return [(split.query, "query"), (split.database, "database")]
