"""Training and encoding images/s, from image files on, beside the published loop written anew in its plainest form.

    python benchmarks/throughput.py                        # on a CPU ViT-Ti/16 at 96 pixels, on a GPU ViT-B/16 at 224
    python benchmarks/throughput.py --images 64 --rounds 1

The plain loop opens one image at a time by Pillow in a DataLoader without or with 4 workers, computes in float32 with
attention in separate steps, moves weights by Adam, asks for the loss in every step, and encodes without telling torch
that no gradient will be wanted. Both train the same network by the same objective on the same files of 500 x 375
pixels, with random crops and flips. `gpu/measure.py` measures the model alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vtsearch.data import open_image_folder
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.encoding import Encoder
from vtsearch.encoding.precision import resolve_precision
from vtsearch.frameworks import framework_class
from vtsearch.models import HashModel, ModelConfig, build_model
from vtsearch.training.config import TrainConfig
from vtsearch.training.loop import train

CLASSES, BITS, EPOCHS = 4, 64, 2
WORKERS = (0, 4)


def words() -> argparse.Namespace:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="vit_base_patch16_224" if on_gpu else "vit_tiny_patch16_224")
    parser.add_argument("--image-size", type=int, default=224 if on_gpu else 96)
    parser.add_argument("--images", type=int, default=4096 if on_gpu else 256)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2, help="each contender's best of so many turns counts")
    return parser.parse_args()


def write_images(folder: Path, count: int) -> None:
    """Smooth noise as JPEG files, as large as the field's, in one folder per class."""
    random = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class {number % CLASSES}"
        place.mkdir(exist_ok=True)
        coarse = random.integers(256, size=(24, 32, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(place / f"{number:05}.jpg")


# ---------------------------------------------------------------------------------------------------------------------
# The plain loop


class PlainImages(Dataset):
    """One image at a time, through Pillow."""

    def __init__(self, source, size: int, *, training: bool) -> None:
        larger = round(size * 256 / 224)
        chance = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(size)]
        steps = [transforms.Resize(larger), *(chance if training else [transforms.CenterCrop(size)])]
        normalize = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.transform = transforms.Compose([*steps, transforms.ToTensor(), normalize])
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, position: int):
        return self.transform(self.source.load(position)), int(self.source.labels[position]), position


def plain_model(given: argparse.Namespace, device: torch.device) -> torch.nn.Module:
    """The same network without what a HashModel arranges for."""
    model = build(given)
    for block in model.backbone.blocks:
        block.attn.fused_attn = False
    return torch.nn.Sequential(model.backbone, model.head).to(device)


def plain_training(given: argparse.Namespace, source, device: torch.device, workers: int) -> float:
    model = plain_model(given, device).train()
    framework = framework_class("csq")(BITS, CLASSES, len(source)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    items = PlainImages(source, given.image_size, training=True)
    loader = DataLoader(items, batch_size=given.batch_size, shuffle=True, num_workers=workers)
    began, total = time.perf_counter(), 0.0
    for _ in range(EPOCHS):
        for images, labels, positions in loader:
            optimizer.zero_grad()
            loss = framework(model(images.to(device)), labels.to(device), positions.to(device))
            loss.backward()
            optimizer.step()
            total += loss.item()
    return EPOCHS * len(source) / (time.perf_counter() - began)


def plain_encoding(given: argparse.Namespace, source, device: torch.device, workers: int) -> float:
    model = plain_model(given, device).eval()
    items = PlainImages(source, given.image_size, training=False)
    loader = DataLoader(items, batch_size=given.batch_size, num_workers=workers)
    began = time.perf_counter()
    codes = torch.cat([model(images.to(device)).data.cpu().sign() for images, _, _ in loader])
    assert codes.shape == (len(source), BITS)
    return len(source) / (time.perf_counter() - began)


# ---------------------------------------------------------------------------------------------------------------------
# Ours


def config(given: argparse.Namespace, folder: Path, images: str) -> TrainConfig:
    return TrainConfig(
        model=model_config(given),
        protocol=str(folder),
        augment="flip+crop",
        epochs=EPOCHS,
        batch_size=given.batch_size,
        baselines=False,
        images=images,
    )


def model_config(given: argparse.Namespace) -> ModelConfig:
    return ModelConfig(given.backbone, BITS, image_size=given.image_size, pretrained=False)


def build(given: argparse.Namespace) -> HashModel:
    torch.manual_seed(0)
    return build_model(model_config(given))


def our_training(given: argparse.Namespace, folder: Path, images: str) -> float:
    with tempfile.TemporaryDirectory() as place:
        return train(config(given, folder, images), Path(place) / "run").images_per_second


def our_encoding(given: argparse.Namespace, source, device: torch.device) -> float:
    model = build(given).to(device)
    began = time.perf_counter()
    Encoder(model, batch_size=given.batch_size).encode(source)
    return len(source) / (time.perf_counter() - began)


def decoding(given: argparse.Namespace, source, device: torch.device) -> float:
    """Seconds to decode the images once."""
    preprocessing = build(given).preprocessing
    items = ImageDataset(source, np.arange(len(source)), preprocessing, augment="flip+crop")
    began = time.perf_counter()
    items.hold(device, threads=2)
    return time.perf_counter() - began


def best(rounds: int, contenders: dict[str, Callable[[], float]]) -> dict[str, float]:
    """images/s of each in its best turn; they take turns, so that what else the machine does hits all alike."""
    found = dict.fromkeys(contenders, 0.0)
    for _ in range(rounds):
        for name, turn in contenders.items():
            found[name] = max(found[name], turn())
    return found


def main() -> None:
    given = words()
    warnings.filterwarnings("ignore", "This DataLoader will create 4 worker processes")  # as published
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder, given.images)
        source = open_image_folder(folder)
        training = best(
            given.rounds,
            {f"plain, {w} workers": lambda w=w: plain_training(given, source, device, w) for w in WORKERS}
            | {
                "vtsearch, files read in each epoch": lambda: our_training(given, folder, "loader"),
                "vtsearch, images held": lambda: our_training(given, folder, "device"),
            },
        )
        encoding = best(
            given.rounds,
            {f"plain, {w} workers": lambda w=w: plain_encoding(given, source, device, w) for w in WORKERS}
            | {"vtsearch": lambda: our_encoding(given, source, device)},
        )
        seconds = decoding(given, source, device)
    show(given, device, {"training": training, "encoding": encoding}, seconds)


def show(given: argparse.Namespace, device: torch.device, found: dict[str, dict[str, float]], seconds: float) -> None:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"{name}, torch {torch.__version__}; {given.backbone} at {given.image_size} pixels, batch {given.batch_size};",
        end="",
    )
    print(f" vtsearch in {resolve_precision('auto', device)}, plain in fp32\n")
    print("| | images/s | times the better plain loop |\n| --- | --- | --- |")
    for what, speeds in found.items():
        plain = max(speed for contender, speed in speeds.items() if contender.startswith("plain"))
        for contender, speed in speeds.items():
            print(f"| {what}: {contender} | {speed:,.0f} | {speed / plain:.2f} |")
    print(f"\nDecoding {given.images:,} images once, before training with images held: {seconds:.1f} s.")


if __name__ == "__main__":
    main()
