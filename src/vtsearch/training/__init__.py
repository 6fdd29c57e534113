"""Training: configuration, loop, checkpoints, evaluation, artifacts.

Knows the interfaces of model, framework and data; no framework and no data set by name.
"""

from __future__ import annotations
