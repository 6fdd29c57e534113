"""From folders to what a report is about: runs, grids of runs, indexes, and pairs of indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch._database import Database
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import evaluate
from vtsearch.evaluation.samples import sampled_positions
from vtsearch.index import Index
from vtsearch.reports import run_files as files
from vtsearch.reports.markdown import UNKNOWN, ReportContext
from vtsearch.reports.method_names import method_names
from vtsearch.reports.saved_run import digest, read_run
from vtsearch.reports.subjects import Images, Pair, Side, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.reports.saved_run import SavedRun

INDEX_FILE, GRID_FILE, RUNS = "index.sqlite", "grid.yaml", "runs"
QUERY, DATABASE = "query", "database"
SAMPLE, LEAST = 1000, 100
"""Items of an index that ask for the others, at most; of a very large index at least."""
PAIRS = 2**30
"""Pairs of items that are compared, about, where that takes fewer questions."""
MOST_FOR_ALL = 2**28
"""Bytes of codes up to which mAP counts the whole database; beyond it counts the first 1,000 answers."""


def open_subjects(
    paths: Sequence[str | Path], *, images: Images | None = None, titles: Mapping[str, str] | None = None
) -> list[Subject]:
    """Everything that some folders hold, in their order; the runs of a grid by name.

    Args:
        paths: folders of runs, of grids, of indexes, or with a "query" and a "database" index in them.
        images: how the images of an index are loaded; by default there are none.
        titles: name of a framework -> as it is written in papers.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: the same folder twice, or an index without items.
        VtsearchError: a folder of none of these kinds; a run that is not finished, unless it is part of a grid.
    """
    subjects: list[Subject] = []
    runs: list[SavedRun] = []
    folders = list(_folders(paths))
    if doubles := [folder for folder in folders if folders.count(folder) > 1]:
        raise ValueError(f"folders: expected each folder once, got {doubles[0]} twice")
    names = distinct_names(folders)
    for folder in folders:
        if (folder / files.CONFIG).is_file():
            runs.append(read_run(folder))
            subjects.append(run_subject(runs[-1], names[folder], images))
        elif (folder / INDEX_FILE).is_file():
            subjects.append(index_subject(Index.open(folder), names[folder], images))
        else:
            subjects.append(_pair_subject(folder, names[folder], images))
    methods = iter(method_names(runs, titles or {}))
    return [replace(each, method=next(methods)) if each.run else each for each in subjects]


def _folders(paths: Sequence[str | Path]) -> Iterator[Path]:
    """The folders of runs and indexes, grids expanded."""
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(2, "no such folder", str(path))
        if any((path / name).is_file() for name in (files.CONFIG, INDEX_FILE)):
            yield path
        elif (path / GRID_FILE).is_file() or (path / RUNS).is_dir():
            finished = sorted(found.parent for found in (path / RUNS).glob(f"*/{files.RESULT}"))
            if not finished:
                raise VtsearchError(f"{path}: expected a grid with a finished run, got none")
            yield from finished
        elif all((path / part / INDEX_FILE).is_file() for part in (QUERY, DATABASE)):
            yield path
        else:
            raise VtsearchError(
                f"{path}: expected a run, a grid of runs, an index, or a folder with a query and a database index in "
                f"it (a folder with {files.CONFIG}, {GRID_FILE} or {INDEX_FILE})"
            )


def distinct_names(folders: Sequence[Path]) -> dict[Path, str]:
    """Folder -> its last parts, as many as tell it from the others."""
    whole = {folder: folder.absolute().parts for folder in folders}
    names: dict[Path, str] = {}
    for folder, parts in whole.items():
        length = 1
        while any(other[-length:] == parts[-length:] for each, other in whole.items() if each != folder):
            length += 1
            if length > len(parts):
                break
        names[folder] = "/".join(parts[-length:])
    return names


def run_subject(run: SavedRun, name: str, images: Images | None, *, best: bool = False) -> Subject:
    """A run with the codes of its final model, if they are still there.

    Args:
        run: the run.
        name: of its folder.
        images: how images are loaded.
        best: whether the scores are those of the best epoch.
    """
    codes = run.folder / files.CODES
    there = all((codes / part / INDEX_FILE).is_file() for part in (QUERY, DATABASE))
    pair = _pair(codes, images) if there else None
    evaluation = run.best if best else run.last
    return Subject(
        name=name,
        method=run.context.framework,
        bits=evaluation.bits,
        seed=run.context.seed,
        evaluation=evaluation,
        context=run.context,
        pair=pair,
        queries=run.context.split,
        run=run,
    )


def index_subject(index: Index, name: str, images: Images | None = None) -> Subject:
    """An index whose items, or a seeded sample of them, ask for the others: leave-one-out.

    Raises:
        ValueError: an index of fewer than two items.
    """
    database = _side(index, images)
    if len(database) < 2:
        raise ValueError(f"{index.path}: expected at least 2 items to compare, got {len(database)}")
    positions = sampled_positions(len(database), min(SAMPLE, max(LEAST, PAIRS // len(database))))
    pair = Pair(part_of(database, positions), database, index.classes, positions, sampled=len(database))
    subject = Subject(name=name, method=name, bits=index.bits, pair=pair, context=context_of(index, name))
    return scored(subject, len(database) * database.codes.width)


def _pair_subject(folder: Path, name: str, images: Images | None) -> Subject:
    """Two indexes in a folder, of queries and of the database."""
    pair = _pair(folder, images)
    with Index.open(folder / DATABASE) as index:
        context, bits = context_of(index, name), index.bits
    return scored(Subject(name=name, method=name, bits=bits, pair=pair, context=context), 0)


def _pair(folder: Path, images: Images | None) -> Pair:
    query, database = (Index.open(folder / part) for part in (QUERY, DATABASE))
    if query.bits != database.bits:
        raise VtsearchError(f"{folder}: expected one length of codes, got {query.bits} and {database.bits} bits")
    database.check_fingerprints(query.fingerprints, whose=str(query.path))
    found = database.positions_of(query.ids())
    given = query.ids() != [str(number) for number in range(len(query))]
    exclude = found if given and (found >= 0).any() else None
    return Pair(_side(query, images), _side(database, images), database.classes, exclude)


def scored(subject: Subject, size: int) -> Subject:
    """A subject with its evaluation, if both sides have labels.

    Args:
        subject: with its pair.
        size: bytes of the database's codes.
    """
    pair = subject.pair
    assert pair is not None
    query, database = pair.query, pair.database
    positions = range(len(query))
    ids = query.ids_at(positions)
    key = digest(*(ids[position] for position in positions), str(len(database)))
    held = pair.exclude is not None
    subject = replace(subject, queries=key, leave_one_out=held)
    if query.labels is None or database.labels is None:
        return subject
    evaluation = evaluate(
        np.concatenate(query.codes.parts),
        database.codes,
        query.labels,
        database.labels,
        None if size <= MOST_FOR_ALL else SAMPLE,
        bits=subject.bits,
        exclude=pair.exclude,
    )
    return replace(subject, evaluation=evaluation)


def part_of(side: Side, positions: NDArray[np.int64]) -> Side:
    """Some items of a side, ascending, as a side of their own."""
    load, places = side.load, positions.tolist()

    def ids_at(chosen: Sequence[int]) -> dict[int, str]:
        names = side.ids_at([places[each] for each in chosen])
        return {each: names[places[each]] for each in chosen}

    return Side(
        Database(side.codes.rows(positions)),
        None if side.labels is None else side.labels[positions],
        ids_at,
        None if load is None else lambda position: load(places[position]),
    )


def _side(index: Index, images: Images | None) -> Side:
    return Side.of(index.database(), index.labels(), index, None if images is None else images(index))


def context_of(index: Index, name: str) -> ReportContext:
    """Where the codes of an index come from, as far as it says; its name stands for a protocol that it does not say."""
    description, fingerprints = index.description, index.fingerprints
    return ReportContext(
        protocol=description.get("protocol", name),
        split=fingerprints.get("split", UNKNOWN),
        model=fingerprints.get("model", UNKNOWN),
        preprocessing=fingerprints.get("preprocessing", UNKNOWN),
        framework=description.get("framework", UNKNOWN),
        backbone=description.get("backbone", UNKNOWN),
        remark=description.get("remark", ""),
    )
