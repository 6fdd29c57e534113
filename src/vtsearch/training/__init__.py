"""The loop from images to a trained model, and what surrounds it: configuration, checkpoints, encoding, judging.

Knows the protocols of model, framework and data; no framework and no data set by name.
"""

from __future__ import annotations
