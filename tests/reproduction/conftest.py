"""A grid of four runs that takes seconds, done once."""

from __future__ import annotations

import pytest

from vtsearch.cli import main

GRID = [
    *(
        "--protocols",
        "digits",
        "--backbones",
        "test_vit",
        "--frameworks",
        "csq,hashnet",
        "--bits",
        "12",
        "--seeds",
        "2",
    ),
    *("--preset", "modern", "--image-size", "32", "--no-pretrained", "--hidden", "32", "--precision", "fp32"),
    *("--augment", "none", "--baselines", "false", "--epochs", "2", "--evaluate-every", "1", "--checkpoint-steps", "3"),
]
CHANGED = (
    "recipe: modern, changed: epochs 2, evaluate_every 1, hidden 32, image_size 32, precision fp32, pretrained false"
)


@pytest.fixture(scope="session")
def grid_args():
    return GRID


@pytest.fixture(scope="session")
def changed_recipe():
    return CHANGED


@pytest.fixture(scope="session")
def finished_grid(tmp_path_factory):
    """The folder of a grid that ran without interruption."""
    folder = tmp_path_factory.mktemp("grids") / "whole"
    assert main(["reproduce", *GRID, "--output", str(folder)]) == 0
    return folder
