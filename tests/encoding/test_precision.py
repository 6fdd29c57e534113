from __future__ import annotations

import pytest
import torch

from vtsearch.encoding.precision import autocast, has_bf16, resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_what_is_asked_for_is_taken(precision):
    assert resolve_precision(precision, CPU) == precision


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
@pytest.mark.parametrize("has_it", [True, False])
def test_auto_takes_bf16_where_the_cpu_has_it(name, has_it, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: has_it})
    assert has_bf16(CPU) is has_it
    assert resolve_precision("auto", CPU) == ("bf16" if has_it else "fp32")


def test_a_device_that_nobody_asked_about_computes_in_fp32():
    assert resolve_precision("auto", torch.device("meta")) == "fp32"


def test_fp16_needs_a_gpu():
    assert resolve_precision("fp16", torch.device("cuda")) == "fp16"
    with pytest.raises(ValueError, match="precision: expected auto, bf16 or fp32 on a cpu device, got 'fp16'"):
        resolve_precision("fp16", CPU)


@pytest.mark.parametrize(
    ("arithmetic", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.float32)]
)
def test_matrix_products_run_in_that_arithmetic_and_weights_stay(arithmetic, dtype):
    layer = torch.nn.Linear(4, 4)
    with autocast(CPU, arithmetic):
        assert layer(torch.zeros(1, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32
