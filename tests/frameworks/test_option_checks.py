from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from vtsearch.frameworks.base import check_options


@dataclass(frozen=True)
class Some:
    weight: float = 1.0
    radius: float = 1.0
    scale: float | Literal["auto"] = "auto"
    form: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        check_options(self, above_zero=("radius",))


def test_what_the_types_list_is_taken():
    Some()
    Some(weight=0, radius=2, scale=0.1, form="b")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weight", -0.5, "weight: expected at least 0, got -0.5"),
        ("weight", float("nan"), "weight: expected at least 0, got nan"),
        ("weight", "auto", "weight: expected at least 0, got 'auto'"),
        ("radius", 0, "radius: expected a number above 0, got 0"),
        ("scale", 0.0, "scale: expected a number above 0 or 'auto', got 0.0"),
        ("scale", "automatic", "scale: expected a number above 0 or 'auto', got 'automatic'"),
        ("form", "c", "form: expected one of a, b, got 'c'"),
    ],
)
def test_all_else_is_named(field, value, message):
    with pytest.raises(ValueError) as error:
        Some(**{field: value})
    assert str(error.value) == message
