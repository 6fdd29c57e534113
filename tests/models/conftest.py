"""A folder to work in, with a model."""

from __future__ import annotations

import pytest

from vtsearch.models import save_model


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    """The current folder; `model` is in its subfolder of that name."""
    monkeypatch.chdir(tmp_path)
    save_model(model, tmp_path / "model")
    return tmp_path
