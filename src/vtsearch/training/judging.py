"""How good a model is on the protocol: codes of query and database, their mAP, and what to compare it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from accelerate.utils import gather_object

from vtsearch.codes import pack
from vtsearch.evaluation import Evaluation, evaluate
from vtsearch.training.batches import COIN_SEED
from vtsearch.training.encode import encode_positions

if TYPE_CHECKING:
    from accelerate import Accelerator
    from numpy.typing import NDArray

    from vtsearch.data import RetrievalData
    from vtsearch.models import HashModel
    from vtsearch.training.config import Precision
    from vtsearch.training.progress import Progress


@dataclass(frozen=True)
class Sides:
    """Codes of the two sides, (q, bytes) and (n, bytes) uint8."""

    query: NDArray[np.uint8]
    database: NDArray[np.uint8]


class Judge:
    """Encodes with a model as it is now and evaluates the codes; each process encodes its share, all get the result."""

    def __init__(
        self, model: HashModel, data: RetrievalData, accelerator: Accelerator, progress: Progress, precision: Precision
    ) -> None:
        self._model, self._data = model, data
        self._accelerator, self._progress, self._precision = accelerator, progress, precision

    def codes(self, positions: NDArray[np.int64], label: str) -> NDArray[np.uint8]:
        """(n, bytes) uint8 codes of the images at n positions; `label` says to a person what they are."""
        share = np.array_split(positions, self._accelerator.num_processes)[self._accelerator.process_index]
        with self._progress.counting(f"encoding {label}", len(share)) as count:
            mine = encode_positions(
                self._model,
                self._data.source,
                share,
                device=self._accelerator.device,
                precision=self._precision,
                progress=count,
            )
        return np.concatenate(gather_object([mine]))

    def on_protocol(self) -> tuple[Sides, Evaluation]:
        """Codes of the protocol's query and database, and all their scores at its k."""
        split = self._data.split
        sides = Sides(self.codes(split.query, "query"), self.codes(split.database, "database"))
        return sides, self._evaluate(sides)

    def on_held_out(self, held_out: NDArray[np.int64], fit: NDArray[np.int64]) -> Evaluation:
        """Scores of held-out training images as queries against the others, over all of them."""
        labels = self._data.source.labels
        query_codes, db_codes = self.codes(held_out, "validation"), self.codes(fit, "training images")
        return evaluate(query_codes, db_codes, labels[held_out], labels[fit], bits=self._model.bits)

    def of_random_codes(self, seed: int) -> Evaluation:
        """Scores of coin flips, on the protocol."""
        coin, split = np.random.Generator(np.random.PCG64((seed, COIN_SEED))), self._data.split
        flips = [pack(coin.random((len(side), self._model.bits)) > 0.5) for side in (split.query, split.database)]
        return self._evaluate(Sides(*flips))

    def _evaluate(self, sides: Sides) -> Evaluation:
        labels, split = self._data.source.labels, self._data.split
        return evaluate(
            sides.query,
            sides.database,
            labels[split.query],
            labels[split.database],
            self._data.protocol.k,
            bits=self._model.bits,
        )
