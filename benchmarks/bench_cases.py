"""Every case of the table, one contender after the other, on one thread; `make bench` has them take turns."""

from __future__ import annotations

import pytest
from cases import SECTIONS
from compare import forced
from contenders import CONTENDERS
from synthetic_codes import sample

from vtsearch import _native

CASES = [case for cases in SECTIONS.values() for case in cases]
ENTRIES = [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in case.contenders]


@pytest.mark.parametrize(("case", "name"), ENTRIES)
def bench_case(benchmark, case, name):
    contender = CONTENDERS[case.operation][name]
    if case.isa not in {None, *_native.isas()} or not contender.installed:
        pytest.skip(f"needs {case.isa or contender.package}")
    codes = contender.sample(sample(case.codes, case.bits, case.queries, case.items))
    benchmark.group = f"{case.operation} {case.name}"
    with forced(case.isa):
        call = contender.prepare(codes, case.k, threads=1)
        benchmark.extra_info.update(contender=name, isa=_native.active_isa(), threads=1)
        contender.check(call(), codes, case.k)
        benchmark.pedantic(call, rounds=3, iterations=1)
    pairs = len(codes.queries) * len(codes.database)
    benchmark.extra_info["pairs_per_s"] = round(pairs / benchmark.stats.stats.min)
