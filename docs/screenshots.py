"""Pictures of the page for the documentation: docs/images/page-*.png.

    python docs/screenshots.py --weights vit_tiny_patch16_224.safetensors

Trains two small models on Fashion-MNIST (10,000 photographs of clothes, MIT licence; Debian's package
dataset-fashion-mnist), encodes, serves, and takes the pictures in Chromium. Half an hour on two cores; what is there
already in the work folder is used again.
"""

from __future__ import annotations

import argparse
import gzip
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from playwright.sync_api import Page, sync_playwright

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
IMAGES = Path(__file__).parent / "images"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="folder of the IDX files"
    )
    parser.add_argument("--weights", required=True, help="weights of vit_tiny_patch16_224")
    parser.add_argument(
        "--work", type=Path, default=Path("build/screenshots"), help="folder of images, models and indexes"
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    write_images(args.data, args.work / "images")
    write_copies(args.work / "images", args.work / "closet")
    make_indexes(args.work, args.weights)
    folders = [str(args.work / name) for name in ("clothes-64", "clothes-32", "photographs")]
    command = [sys.executable, "-m", "vtsearch", "serve", *folders, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            take_all(server.stdout.readline().split()[0], args.chromium)
        finally:
            server.terminate()


def write_images(data: Path, folder: Path) -> None:
    """The test images as PNG files in a folder for each class."""
    if folder.exists():
        return
    pixels, labels = (
        np.frombuffer(gzip.decompress((data / f"t10k-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    for number, (image, label) in enumerate(zip(pixels.reshape(-1, 28, 28), labels, strict=True)):
        path = folder / CLASSES[label] / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - image).save(path)


def write_copies(images: Path, folder: Path) -> None:
    """Some images, larger, with copies as people leave them: compressed, brightened, trimmed, small."""
    if folder.exists():
        return
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, path in enumerate(sorted(images.glob("*/*.png"))[::33]):
        name = f"{path.parent.name.replace(' ', '-')}-{path.stem}"
        image = Image.open(path).resize((224, 224), Image.Resampling.LANCZOS)
        image.save(folder / f"{name}.png")
        if number % 6 == 0:
            changes = {
                "web": lambda image=image: (image, {"quality": 45}),
                "bright": lambda image=image: (ImageEnhance.Brightness(image).enhance(1.1), {"quality": 90}),
                "small": lambda image=image: (image.resize((96, 96)), {"quality": 85}),
                "trimmed": lambda image=image: (ImageOps.crop(image, 4), {"quality": 90}),
            }
            for change in rng.choice(list(changes), rng.integers(1, 4), replace=False):
                changed, options = changes[change]()
                changed.save(folder / f"{name}-{change}.jpg", **options)


def make_indexes(work: Path, weights: str) -> None:
    """Two models of 64 and 32 bits with indexes of all images, and an index of the copies."""

    def run(*words: object) -> None:
        subprocess.run([sys.executable, "-m", "vtsearch", *map(str, words)], check=True)

    images, split = work / "images", work / "split"
    if not split.exists():
        run("data", "make", images, "--output", split, "--queries-per-class", 20, "--train-per-class", 200)
    for bits in (64, 32):
        model = work / f"run-{bits}"
        if not model.exists():
            options = [
                "--framework",
                "greedyhash",
                "--bits",
                bits,
                "--backbone",
                "vit_tiny_patch16_224",
                "--weights",
                weights,
            ]
            run("train", "--protocol", split, *options, "--image-size", 64, "--epochs", 4, "--output", model)
        if not (work / f"clothes-{bits}").exists():
            run("encode", images, "--model", model / "final", "--output", work / f"clothes-{bits}")
    if not (work / "photographs").exists():
        run("encode", work / "closet", "--model", work / "run-64" / "final", "--output", work / "photographs")


def take_all(url: str, chromium: str) -> None:
    """All pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def take(name: str, address: str, *, dark: bool = False, size: dict[str, int] = DESK, press: str = "") -> None:
            scheme = "dark" if dark else "light"
            page = browser.new_page(viewport=size, color_scheme=scheme, device_scale_factor=1 if size is DESK else 2)
            page.goto(f"{url}#{address}")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1_500)
            for key in press.split():
                page.keyboard.press(key)
                page.wait_for_timeout(300)
            save(page, f"page-{name}.png")
            page.close()

        query = "id=sneaker%2F00009.png&index=clothes-64"
        take("neighbours", query, press="j j j")
        take("neighbours-dark", query, dark=True, press="j j j")
        take("mistakes", f"room=mistakes&{query}")
        take("compare", f"room=compare&{query}")
        others = "where=id+NOT+LIKE+%27ankle%25%27"
        take("duplicates", f"room=duplicates&index=photographs&within=0&keep=largest&{others}")
        take("phone", query, size=PHONE)
        browser.close()


def save(page: Page, name: str) -> None:
    """A picture of what is seen, in 256 colours: a third of the bytes."""
    image = Image.open(io.BytesIO(page.screenshot()))
    image.convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
