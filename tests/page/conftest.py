"""Photos of three classes, two indexes of them, their server, and a real browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from serving import server_of

WAIT = 45_000  # ms: two processes share the CPUs with other tests
WIDE, PHONE = (1440, 900), (390, 844)
HOSTILE = "<img src=x onerror=window.hit=1>"


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of 45 photos in three classes; of each class, photos 0 and 1, and 2, 3 and 4, are the same picture."""
    from PIL import Image

    root = tmp_path_factory.mktemp("page") / "photos"
    draw = np.random.default_rng(5)
    for place, name in enumerate(["ant", "bee", HOSTILE]):
        (root / name).mkdir(parents=True)
        for number in range(15):
            if number not in {1, 3, 4}:
                pixels = draw.integers(0, 120, (24, 20 + number, 3), dtype=np.uint8)
                pixels[..., place] += 130
            file = f"{HOSTILE}.png" if place == 2 and number == 7 else f"{number:02}.png"
            Image.fromarray(pixels).save(root / name / file, compress_level=number % 9)
    return root


@pytest.fixture(scope="session")
def indexes(photos, tmp_path_factory):
    """Indexes of 32 and 16 bits over the photos, made by models of random weights."""
    import torch

    from vtsearch.cli import main
    from vtsearch.models import ModelConfig, build_model, save_model

    root = tmp_path_factory.mktemp("indexes")
    made = []
    for bits in (32, 16):
        torch.manual_seed(bits)
        model = build_model(
            ModelConfig(backbone="test_vit", bits=bits, image_size=32, pretrained=False, head="tokens", hidden=32)
        )
        save_model(model, root / f"model-{bits}")
        made.append(root / f"photos-{bits}")
        words = [str(photos), "--model", str(root / f"model-{bits}"), "--output", str(made[-1]), "--device", "cpu"]
        assert main(["encode", *words]) == 0
    return made


@pytest.fixture(scope="session")
def served(indexes):
    """The address of a server of both indexes."""
    with server_of(*indexes, "--read-only") as server:
        yield server.url


@pytest.fixture
def index_of_ones_own(indexes, tmp_path):
    """A copy of the first index, which a test may change."""
    return shutil.copytree(indexes[0], tmp_path / "photos-32")


@pytest.fixture
def visit(chromium):
    """A function that opens an address; an error in the page fails the test at its end."""
    contexts, errors = [], []

    def open_page(url, size=WIDE, theme="light", **options):
        phone = {"has_touch": True, "is_mobile": True} if size == PHONE else {}
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, **phone, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def axe():
    """The text of axe-core, or the reason why it is not there."""
    places = [os.environ.get("VTSEARCH_AXE"), "build/node/node_modules/axe-core/axe.min.js"]
    for place in places:
        if place and Path(place).is_file():
            return Path(place).read_text("utf-8")
    return pytest.skip("axe-core is not installed ($VTSEARCH_AXE may say where axe.min.js is)")
