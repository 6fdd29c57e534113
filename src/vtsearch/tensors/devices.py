"""The one check of a device that a user names."""

from __future__ import annotations

import warnings

import torch


def usable_device(device: torch.device | str | None = None, *, name: str = "device") -> torch.device:
    """The device of that name, if this machine has it and torch can compute on it.

    Args:
        device: such as "cpu", "cuda" or "cuda:1"; None is the GPU if there is one, else the CPU.
        name: of the argument, for messages.

    Raises:
        TypeError: neither text nor a device.
        ValueError: no device of that name here; the message lists those that there are.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not isinstance(device, str | torch.device):
        raise TypeError(f"{name}: expected text or a torch.device, got {device!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of names that it knows from former days
            found = torch.device(device)
            if found.type != "cpu":
                torch.empty(1, device=found).sum().item()  # "meta" has no numbers
    except Exception as error:  # torch has no common class for what it cannot use
        raise ValueError(
            f"{name}: expected one of {', '.join(devices())} on this machine, got {str(device)!r}"
        ) from error
    return found


def devices() -> list[str]:
    """Names of the devices of this machine that torch can use, the CPU first."""
    names = ["cpu"]
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind is not None:
        count = torch.accelerator.device_count()
        names += [kind.type, *(f"{kind.type}:{number}" for number in range(count) if count > 1)]
    return names
