"""Benchmarks run under --benchmark-only alone; what they print at the end are ratios within the run."""

from __future__ import annotations


def pytest_ignore_collect(collection_path, config):  # noqa: ARG001  pytest names it
    """A plain pytest passes the benchmarks by."""
    return None if config.getoption("benchmark_only", default=False) else True


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    groups = {}
    for measured in session.benchmarks if session else ():
        if "contender" in measured.extra_info:
            speeds = groups.setdefault(measured.group, {})
            speeds[measured.extra_info["contender"]] = measured.extra_info["pairs_per_s"]
    for group, speeds in groups.items():
        engine = speeds.pop("vtsearch", None)
        if engine and speeds:
            ratios = [f"{engine / speed:.1f}x {name}" for name, speed in speeds.items()]
            terminalreporter.write_line(f"{group}: vtsearch {', '.join(ratios)}")
