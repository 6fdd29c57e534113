"""Parameters that accelerate's FSDP2 has sharded over the processes: whole tensors out of them, and back.

A checkpoint holds whole tensors, in the layout of a run without sharding, so that either kind continues the other.
All processes must call these functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from vtsearch.tensors.distributed import synchronize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


def is_sharded(module: nn.Module) -> bool:
    """Whether a process holds only a part of the parameters."""
    return any(_is_dtensor(parameter) for parameter in module.parameters())


def whole(tree: Any, *, keep: bool = True) -> Any:
    """A state dictionary with whole tensors on the CPU instead of sharded ones; others are left alone.

    Args:
        tree: mappings and lists, of tensors and of anything else.
        keep: whether this process wants the whole tensors; None stands for them otherwise.
    """
    if isinstance(tree, dict):
        return {name: whole(value, keep=keep) for name, value in tree.items()}
    if isinstance(tree, list):
        return [whole(value, keep=keep) for value in tree]
    if not _is_dtensor(tree):
        return tree
    full = tree.full_tensor()
    return full.cpu() if keep else None


def load_weights(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dictionary of whole tensors.

    Raises:
        RuntimeError: names or shapes that are not the module's.
    """
    own = module.state_dict()
    module.load_state_dict({name: _sharded_like(value, own.get(name)) for name, value in state.items()})


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load the state dictionary of an optimizer, with whole tensors.

    Raises:
        LookupError: parameters that the optimizer does not have.
        ValueError: other groups than the optimizer's.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    sharded = {
        number: {name: _sharded_like(value, parameters[number]) for name, value in values.items()}
        for number, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": sharded})


def copy_weights(trained: nn.Module, model: nn.Module) -> None:
    """Give `model` the whole weights of `trained`, and the statistics of rank 0, such as those of batch normalization.

    Args:
        trained: what the optimizer changes, sharded or not.
        model: a module of the same structure without sharding, or `trained` itself.
    """
    if model is not trained:
        own = trained.state_dict()
        for name, tensor in model.state_dict().items():
            tensor.copy_(whole(own[name]))
    synchronize(model.buffers())


def _sharded_like(value: Any, target: Tensor | None) -> Any:
    """The part of a whole tensor that this process holds of `target`."""
    if target is None or not _is_dtensor(target) or not isinstance(value, torch.Tensor) or value.shape != target.shape:
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor  # noqa: PLC0415 (not in every build of torch)

    assert isinstance(target, DTensor)
    whole_value = value.to(device=target.device, dtype=target.dtype)
    # each process has the whole: nothing is sent
    return distribute_tensor(whole_value, target.device_mesh, target.placements, src_data_rank=None)


def _is_dtensor(value: object) -> bool:
    if not distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor  # noqa: PLC0415 (not in every build of torch)

    return isinstance(value, DTensor)
