"""A model as a transformer of scikit-learn, for its pipelines, searches and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from vtsearch.codes import pack
from vtsearch.encoding.encoder import Encoder

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray
    from sklearn.utils import Tags

    from vtsearch.encoding.precision import Precision
    from vtsearch.models import HashModel


_FLOATS = [np.float64, np.float32]


class HashEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Images, or features, to codes: a transformer of scikit-learn around a trained model.

    ``fit`` loads the model and learns nothing from the data; ``vtsearch train`` does. Codes are those of
    ``vtsearch.load_model(model).encode``.

    Args:
        model: a model folder, ``user/name`` of the Hugging Face hub, or a model; None takes features instead of images.
        unpacked: whether a bit is a column, as distances of scikit-learn (``metric="hamming"``) need it; otherwise a
            byte is one.
        device: as of ``Encoder``.
        precision: as of ``Encoder``.
        batch_size: as of ``Encoder``.
        workers: as of ``Encoder``.

    Attributes:
        encoder_: the ``Encoder`` of the model, if there is one.
        bits_: length of the codes.
        n_features_in_: columns of the features, where there is no model.
    """

    def __init__(
        self,
        model: HashModel | str | Path | None = None,
        *,
        unpacked: bool = False,
        device: torch.device | str | None = None,
        precision: Precision = "auto",
        batch_size: int = 128,
        workers: int | None = None,
    ) -> None:
        self.model = model
        self.unpacked = unpacked
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.workers = workers

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: N803, ARG002 (scikit-learn's names)
        """Load the model; without one, look at the shape of the features.

        Args:
            X: as of ``transform``; images are not looked at.
            y: ignored.

        Raises:
            FileNotFoundError, ValueError, VtsearchError: as of ``Encoder``.
        """
        if self.model is None:
            self.bits_ = int(validate_data(self, X, dtype=_FLOATS).shape[1])
            return self
        self.encoder_ = Encoder(
            self.model,
            device=self.device,
            precision=self.precision,
            batch_size=self.batch_size,
            workers=self.workers,
        )
        self.bits_ = self.encoder_.bits
        return self

    def transform(self, X: Any) -> NDArray[np.uint8]:  # noqa: N803 (scikit-learn's name)
        """Codes, uint8 (n, ceil(bits / 8)) as ``pack`` packs them; unpacked, uint8 0/1 (n, bits).

        Args:
            X: images: a list of paths, Pillow images and uint8 arrays (h, w, 3), or an array (n, h, w, 3) of pixels or
                (n,) of paths. Without a model: features, (n, bits); bit i is ``feature[i] > 0``.

        Raises:
            NotFittedError: ``fit`` was not called.
            TypeError, ValueError, FileNotFoundError, VtsearchError: as of ``Encoder.encode``.
        """
        check_is_fitted(self, "bits_")
        if self.model is None:
            codes = pack(validate_data(self, X, dtype=_FLOATS, reset=False) > 0)
        else:
            codes = self.encoder_.encode(X.tolist() if isinstance(X, np.ndarray) and X.ndim == 1 else X)
        return np.unpackbits(codes, axis=1, count=self.bits_) if self.unpacked else codes

    @property
    def _n_features_out(self) -> int:
        """Columns of the output, for ``get_feature_names_out``."""
        return self.bits_ if self.unpacked else -(-self.bits_ // 8)

    def __sklearn_tags__(self) -> Tags:
        """What scikit-learn may expect: a table of features, or images, which it does not look at."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.two_d_array = self.model is None
        tags.no_validation = self.model is not None
        return tags
