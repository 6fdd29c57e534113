"""Image to features: a backbone and a hash head. Knows no loss, no label, no data set."""

from __future__ import annotations

from vtsearch.models.folder import load_model, save_model, write_model
from vtsearch.models.hash_model import HashModel, ModelConfig, build_model

__all__ = ["HashModel", "ModelConfig", "build_model", "load_model", "save_model", "write_model"]
