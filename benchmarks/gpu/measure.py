"""Training and encoding images/s of a model on a GPU, and their share of its matrix rate, after a check of its codes.

    python benchmarks/gpu/measure.py                      # ViT-B/16 at 224 pixels, random weights, bf16
    python benchmarks/gpu/measure.py --device cpu --backbone vit_tiny_patch16_224 --image-size 32 --batch-size 8

Images are random pixels that already lie on the device: what is measured is the model, not the loading of files.
The share is of what the device reaches in large products of bfloat16 matrices in the same run; a forward pass is
counted by its matrix products, a training step as three of it. Prints a table in Markdown, with the device's name.
`throughput.py` measures the way from files on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

import vtsearch
from vtsearch.encoding.precision import autocast
from vtsearch.frameworks import framework_class
from vtsearch.models import ModelConfig, build_model

CLASSES = 10


def words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--backbone", default="vit_base_patch16_224")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=64)
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


def matrix_rate(seconds: float, device: torch.device) -> float:
    """Operations per second in products of square bfloat16 matrices."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return images_per_second(lambda: a @ b, 2 * side**3, seconds, device)


def operations(config: ModelConfig) -> int:
    """Of one image's forward pass, in matrix products and convolutions."""
    with torch.device("meta"):
        model = build_model(config).eval()
        size = model.preprocessing.image_size
        for block in getattr(model.backbone, "blocks", ()):
            if hasattr(block, "attn"):
                block.attn.fused_attn = False  # so that its products are seen
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(torch.empty(1, 3, size, size))
    return counter.get_total_flops()


def main() -> None:
    given = words()
    device = torch.device(given.device)
    torch.manual_seed(0)
    config = ModelConfig(given.backbone, given.bits, image_size=given.image_size, pretrained=False)
    model = build_model(config).eval()
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
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

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
    rate, needed = matrix_rate(given.seconds, device), operations(config)
    print("| | images/s | Tflop/s | share of the bf16 matrix rate |\n| --- | --- | --- | --- |")
    for name, step, passes in (("training (CSQ)", train, 3), ("encoding", encode, 1)):
        model.train(mode=passes == 3)
        speed = images_per_second(step, given.batch_size, given.seconds, device)
        reached = speed * passes * needed
        print(f"| {name} | {speed:,.0f} | {reached / 1e12:.3g} | {reached / rate:.0%} |")
    print(f"| large matrix products | | {rate / 1e12:.3g} | 100% |")


if __name__ == "__main__":
    main()
