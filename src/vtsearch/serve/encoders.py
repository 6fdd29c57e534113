"""Models that turn uploaded pictures into queries, loaded once for all indexes that they made."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.exchange.hub import may_be_model
from vtsearch.serve.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.encoding import Encoder
    from vtsearch.index import Index


class QueryEncoder:
    """The model of one index, which is loaded on first use or by ``load``; one picture is encoded at a time.

    Args:
        index: whose codes it makes.
        folder: of the model, or its name on the Hugging Face hub; by default the one that the index remembers.
        encoders: of all indexes.
    """

    def __init__(self, index: Index, folder: str | None, encoders: SharedEncoders) -> None:
        self._index, self._encoders = index, encoders
        self._folder = folder or index.description.get("model")
        self._encoder: Encoder | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a model, and the packages to run it."""
        return self._folder is not None and may_be_model(self._folder) and find_spec("torch") is not None

    def load(self) -> Encoder:
        """The encoder, loaded; one that is loaded stays, whatever becomes of its folder.

        Raises:
            Refused: there is none.
            ModuleNotFoundError: no torch.
            VtsearchError: a damaged model, or another one than made the index.
        """
        if self._encoder is not None:
            return self._encoder
        if self._folder is None or not may_be_model(self._folder):
            raise Refused(
                f"image: no model for {self._index.path}; start the server with --model FOLDER, or ask by id or by code"
            )
        fingerprints = self._index.fingerprints
        encoder = self._encoders.get(self._folder, fingerprints.get("arithmetic", "auto"))
        self._index.check_fingerprints(encoder.query_fingerprints(fingerprints), whose=self._folder)
        self._encoder = encoder
        return encoder

    def least_side(self) -> int | None:
        """Pixels of the shorter side that the model needs of a picture; errors as of ``load``."""
        return self.load().model.preprocessing.least_side

    def code(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The code (bytes,) of a picture (h, w, 3); errors as of ``load``."""
        encoder = self.load()
        with self._encoders.encoding:
            code: NDArray[np.uint8] = encoder.encode([pixels])[0]
            return code


class SharedEncoders:
    """Encoders by folder and arithmetic."""

    def __init__(self) -> None:
        self._encoders: dict[tuple[str, str], Encoder] = {}
        self._lock = threading.Lock()
        self.encoding = threading.Lock()
        """Held while a model runs: passes side by side would share the processors."""

    def get(self, folder: str, arithmetic: str) -> Encoder:
        """The encoder of a folder, loaded on the first call."""
        from vtsearch.encoding import Encoder  # noqa: PLC0415 (torch takes seconds)

        key = str(Path(folder).resolve()), arithmetic
        with self._lock:
            if key not in self._encoders:
                self._encoders[key] = Encoder(folder, precision=arithmetic)  # type: ignore[arg-type]
            return self._encoders[key]
