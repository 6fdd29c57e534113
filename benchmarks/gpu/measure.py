"""Training and encoding images/s of a model on a GPU, after a check that its codes are the CPU's.

    python benchmarks/gpu/measure.py                      # ViT-B/16 at 224 pixels, random weights, bf16
    python benchmarks/gpu/measure.py --device cpu --backbone vit_tiny_patch16_224 --image_size 32 --batch_size 8

Images are random pixels that already lie on the device: what is measured is the model, not the loading of files.
Prints a table in Markdown, with the device's name.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

import vtsearch
from vtsearch.frameworks import framework_class
from vtsearch.models import ModelConfig, build_model
from vtsearch.training.precision import autocast

CLASSES = 10


def words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--backbone", default="vit_base_patch16_224")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    return parser.parse_args()


def images_per_second(step: Callable[[], object], images: int, seconds: float, device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(3):
        step()
    wait()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
        if steps % 10 == 0:
            wait()
    wait()
    return steps * images / (time.perf_counter() - start)


def main() -> None:
    given = words()
    device = torch.device(given.device)
    torch.manual_seed(0)
    model = build_model(ModelConfig(given.backbone, given.bits, image_size=given.image_size, pretrained=False)).eval()
    images = torch.randn(given.batch_size, 3, given.image_size, given.image_size)

    few = images[:8]
    with torch.inference_mode():
        on_cpu = model(few)
        on_device = model.to(device)(few.to(device)).cpu()
    same = vtsearch.unpack(vtsearch.pack(on_cpu.numpy()), given.bits) == vtsearch.unpack(
        vtsearch.pack(on_device.numpy()), given.bits
    )
    print(f"float32 features: largest difference to the CPU {float((on_cpu - on_device).abs().max()):.1e}, ", end="")
    print(f"equal bits {same.mean():.2%}")

    images = images.to(device)
    labels = torch.arange(given.batch_size, device=device) % CLASSES
    framework = framework_class("csq")(given.bits, CLASSES, given.batch_size).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def train() -> None:
        with autocast(device, "bf16"):
            loss = framework(model(images), labels, torch.arange(given.batch_size, device=device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def encode() -> None:
        with torch.inference_mode(), autocast(device, "bf16"):
            model(images)

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(f"\n{name}, torch {torch.__version__}, {given.backbone} at {given.image_size} pixels, ", end="")
    print(f"batch {given.batch_size}, bf16\n")
    print("| | images/s |\n| --- | --- |")
    model.train()
    print(f"| training (CSQ) | {images_per_second(train, given.batch_size, given.seconds, device):,.0f} |")
    model.eval()
    print(f"| encoding | {images_per_second(encode, given.batch_size, given.seconds, device):,.0f} |")


if __name__ == "__main__":
    main()
