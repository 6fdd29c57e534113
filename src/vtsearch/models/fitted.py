"""What a model folder says of a head that was fitted, not trained."""

from __future__ import annotations

from dataclasses import dataclass

from vtsearch._ranges import whole


@dataclass(frozen=True)
class Fitted:
    """How the head of a model was fitted: for people, and to do it again. No code depends on it."""

    method: str
    """pca, itq, rotation or lsh."""
    seed: int
    images: int
    """To whose features it was fitted."""
    arithmetic: str
    """Of these features: bf16 or fp32."""
    iterations: int | None = None
    """Of itq."""
    protocol: str | None = None
    """Whose training images they were."""
    split: str | None = None
    """Fingerprint of the protocol's split."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            TypeError: something else than text where there is to be text.
            ValueError: something else than a whole number, or one below 0, where there is to be one.
        """
        for name in ("method", "arithmetic", "protocol", "split"):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name in {"method", "arithmetic"}):
                raise TypeError(f"{name}: expected text, got {value!r}")
        for name in ("seed", "images", "iterations"):
            if not (name == "iterations" and self.iterations is None):
                whole(0).check(name, getattr(self, name))
