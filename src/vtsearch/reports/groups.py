"""Subjects of one method and length as one line of a report: means and deviations over their seeds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.evaluation import Interval, bootstrap_interval
from vtsearch.evaluation.evaluation import map_name
from vtsearch.reports.document import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from vtsearch.evaluation import Evaluation
    from vtsearch.reports.subjects import Subject


@dataclass(frozen=True)
class Setting:
    """What scores must share to stand in one table."""

    protocol: str
    remark: str
    queries: int
    database: int
    k: int | None
    normalizer: str
    leave_one_out: str
    """Fingerprint of the items that ask for the others; empty if the protocol has queries of its own."""

    @property
    def map_name(self) -> str:
        """Such as mAP@1000."""
        return map_name(self.k)

    def __str__(self) -> str:
        """All that the numbers depend on, in one line."""
        protocol = f"{self.protocol} (not as published)" if self.remark else self.protocol
        asked = "items ask for the others" if self.leave_one_out else "queries"
        return (
            f"{self.map_name}, protocol {protocol}, {self.queries:,} {asked}, "
            f"{self.database:,} items in the database, ties expected, normalizer {self.normalizer}"
        )


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation over runs."""

    mean: float
    deviation: float | None
    """None for a single run."""

    def text(self, digits: int = 2, factor: float = 100) -> str:
        """In percent: ``91.23 ± 0.46``, or ``91.23``."""
        spread = "" if self.deviation is None else f" ± {factor * self.deviation:.{digits}f}"
        return f"{factor * self.mean:.{digits}f}{spread}"


def summary(values: Iterable[float]) -> Summary:
    """Mean and sample standard deviation of at least one value."""
    numbers = list(values)
    return Summary(statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else None)


@dataclass(frozen=True, eq=False)
class Group:
    """The subjects of one method and length under one setting, with scores."""

    method: str
    bits: int
    setting: Setting
    subjects: tuple[Subject, ...]

    @property
    def name(self) -> str:
        """Method and length."""
        return f"{self.method}, {self.bits} bits"

    @property
    def evaluations(self) -> list[Evaluation]:
        """One for each subject."""
        return [subject.evaluation for subject in self.subjects if subject.evaluation is not None]

    @property
    def seeds(self) -> str:
        """The seeds in words, or their number if there are many."""
        seeds = [str(subject.seed) for subject in self.subjects if subject.seed is not None]
        return NONE if not seeds else ", ".join(seeds) if len(seeds) <= 5 else str(len(seeds))

    @property
    def score(self) -> Summary:
        """mAP, expected under ties."""
        return summary(each.mean_average_precision.expected for each in self.evaluations)

    @property
    def bounds(self) -> tuple[float, float]:
        """MAP in the worst and the best order of tied items, means over the subjects."""
        scores = [each.mean_average_precision for each in self.evaluations]
        return statistics.fmean(s.worst for s in scores), statistics.fmean(s.best for s in scores)

    def by_query(self) -> dict[str, NDArray[np.float64]]:
        """Fingerprint of queries -> average precision of each, averaged over the subjects with these queries."""
        found: dict[str, list[Sequence[float]]] = {}
        for subject in self.subjects:
            if subject.evaluation is not None:
                found.setdefault(subject.queries, []).append(subject.evaluation.average_precisions)
        return {key: np.mean(scores, axis=0) for key, scores in found.items()}

    @property
    def interval(self) -> Interval | None:
        """Bootstrap interval of the mAP over queries; None for a single query."""
        scores = np.concatenate(list(self.by_query().values()))
        return bootstrap_interval(scores) if len(scores) > 1 else None


def grouped(subjects: Sequence[Subject]) -> list[Group]:
    """The subjects that have scores, in groups, in the order of their first ones; lengths ascend inside a method."""
    found: dict[Any, list[Subject]] = {}
    for subject in subjects:
        if subject.evaluation is not None:
            key = setting_of(subject, subject.evaluation), subject.method, subject.bits
            found.setdefault(key, []).append(subject)
    groups = [Group(method, bits, setting, tuple(alike)) for (setting, method, bits), alike in found.items()]
    settings, methods = list(dict.fromkeys(g.setting for g in groups)), list(dict.fromkeys(g.method for g in groups))
    return sorted(groups, key=lambda g: (settings.index(g.setting), methods.index(g.method), g.bits))


def setting_of(subject: Subject, evaluation: Evaluation) -> Setting:
    """What the scores of a subject depend on, its method aside."""
    return Setting(
        protocol="leave-one-out" if subject.leave_one_out else subject.protocol,
        remark=subject.context.remark,
        queries=evaluation.queries,
        database=evaluation.database,
        k=evaluation.k,
        normalizer=evaluation.normalizer,
        leave_one_out=subject.queries if subject.leave_one_out else "",
    )


def by_setting(groups: Sequence[Group]) -> dict[Setting, list[Group]]:
    """The groups under each setting."""
    found: dict[Setting, list[Group]] = {}
    for group in groups:
        found.setdefault(group.setting, []).append(group)
    return found


def titles_of(settings: Mapping[Setting, Sequence[Group]]) -> dict[Setting, str]:
    """What tells settings apart, after a colon: their protocols, or their methods; nothing where there is one."""
    protocols = [setting.protocol for setting in settings]
    titles = {}
    for setting, groups in settings.items():
        methods = ", ".join(methods_of(groups)[:3])
        titles[setting] = f": {setting.protocol if protocols.count(setting.protocol) == 1 else methods}"
    return titles if len(settings) > 1 else dict.fromkeys(settings, "")


def is_grid(groups: Sequence[Group]) -> bool:
    """Whether most methods have most lengths: a table of methods by lengths is then filled, for the most part."""
    return 2 * len(groups) > len(methods_of(groups)) * len(lengths_of(groups))


def lengths_of(groups: Iterable[Group]) -> list[int]:
    """Their lengths, ascending."""
    return sorted({group.bits for group in groups})


def methods_of(groups: Iterable[Group]) -> list[str]:
    """Their methods, in order."""
    return list(dict.fromkeys(group.method for group in groups))


def best_of(groups: Sequence[Group]) -> Group | None:
    """The group with the highest mAP, the first of equal ones."""
    return max(groups, key=lambda group: group.score.mean, default=None)
