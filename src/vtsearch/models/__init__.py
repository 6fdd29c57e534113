"""Image to features: a backbone and a hash head. Knows no loss, no label, no data set."""

from __future__ import annotations

from vtsearch.models.config import ModelConfig
from vtsearch.models.export import ExportedModel, export_model
from vtsearch.models.folder import load_model, save_model, write_model
from vtsearch.models.hash_model import HashModel, build_model
from vtsearch.models.push import push_model

__all__ = [
    "ExportedModel",
    "HashModel",
    "ModelConfig",
    "build_model",
    "export_model",
    "load_model",
    "push_model",
    "save_model",
    "write_model",
]
