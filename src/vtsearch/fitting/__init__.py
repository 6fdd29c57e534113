"""Models that are fitted, not trained: the features of a frozen backbone through an affine map found without labels.

Here is what needs numpy alone. ``vtsearch.fitting.model`` fits the head of a model, ``vtsearch.fit`` writes a model.
"""

from __future__ import annotations

from vtsearch.fitting.affine import METHODS, AffineMap, Method, fit_affine

__all__ = ["METHODS", "AffineMap", "Method", "fit_affine"]
