"""The report as one HTML file: opened without a server, printed on A4, equal for equal inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch._atomic_io import write_file
from vtsearch._validate import whole_number
from vtsearch.page.bundle import one_file
from vtsearch.reports.document import Document, Section, plain
from vtsearch.reports.groups import best_of, grouped, methods_of
from vtsearch.reports.inputs import open_subjects, run_subject
from vtsearch.reports.method_names import method_names
from vtsearch.reports.saved_run import read_run
from vtsearch.reports.sections.classes import classes
from vtsearch.reports.sections.codes import codes
from vtsearch.reports.sections.comparisons import comparisons
from vtsearch.reports.sections.curves import curves
from vtsearch.reports.sections.pictures import pictures as pictured_queries
from vtsearch.reports.sections.repeat import repeat
from vtsearch.reports.sections.results import results
from vtsearch.reports.sections.training import overlap, timing, training
from vtsearch.reports.thumbnails import Thumbnails

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from vtsearch.reports.groups import Group
    from vtsearch.reports.subjects import Images, Subject

FILE = "report.html"
PICTURES = 8
"""Queries of each kind that are pictured."""
ENTRY, STYLES = "report.js", ("report.css",)
PLACE = '<div id="app"></div>'
WITHOUT_SCRIPT = "<noscript>Tables and figures are drawn by JavaScript, which is switched off here.</noscript>"


def write_html_report(
    folders: Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    title: str | None = None,
    pictures: int = PICTURES,
    images: Images | None = None,
    titles: Mapping[str, str] | None = None,
) -> Path:
    """Write a report of runs, grids of runs and indexes to one file; returns its path.

    Args:
        folders: of `vtsearch train`, of `vtsearch reproduce`, or indexes; also a folder with a "query" and a "database"
            index in it. An index with labels is evaluated leave-one-out, on a seeded sample of at most 1,000 items.
        output: the file, replaced in one step; its folder exists.
        title: of the report.
        pictures: worst queries, and best ones, that are pictured; 0 for no pictures.
        images: how the images of an index are loaded, such as ``vtsearch.data.pictures.image_loader``; without it,
            items are shown by name.
        titles: framework -> its name in papers, such as ``vtsearch.frameworks.FRAMEWORKS``.

    Raises:
        FileNotFoundError: no such folder.
        TypeError, ValueError: no folders, the same folder twice, an index without items; pictures below 0.
        VtsearchError: a folder of another kind, a run that is not finished, damaged files.
        OSError: an output that cannot be written.

    Example:
        >>> import numpy as np, vtsearch
        >>> from vtsearch.reports import write_html_report
        >>> with vtsearch.Index.create("leaves", bits=8) as index:
        ...     index.add(np.arange(6, dtype=np.uint8)[:, None], labels=[0, 0, 0, 1, 1, 1])
        >>> write_html_report(["leaves"], "leaves.html").name
        'leaves.html'
    """
    if not folders:
        raise ValueError("folders: expected at least one run or index, got none")
    count = whole_number("pictures", pictures, 0)
    subjects = open_subjects([Path(folder) for folder in folders], images=images, titles=titles)
    return write_document(report_of(subjects, title=title, pictures=count), Path(output))


def write_run_report(
    folder: Path, result: Mapping[str, Any], *, images: Images | None = None, titles: Mapping[str, str] | None = None
) -> Path:
    """Write report.html to the folder of a run, all of whose other files are there but result.json; returns its path.

    Args:
        folder: of the run.
        result: the content of its result.json.
        images: how the images of an index are loaded.
        titles: framework -> its name in papers.

    Raises:
        VtsearchError: files that are not those of a run.
        OSError: a folder that cannot be written.
    """
    run = read_run(folder, result)
    subject = run_subject(run, folder.absolute().name, images)
    (method,) = method_names([run], titles or {})
    return write_document(report_of([replace(subject, method=method)]), folder / FILE)


def write_subjects(folder: str | PathLike[str], subjects: Sequence[Subject], *, pictures: int = PICTURES) -> Path:
    """Write report.html about some subjects to a folder; returns its path.

    Raises:
        OSError: a folder that cannot be written.
    """
    return write_document(report_of(subjects, pictures=pictures), Path(folder) / FILE)


def write_document(document: Document, output: Path) -> Path:
    """Write a document as one HTML file, in one step; returns its path."""
    write_file(output, html_of(document).encode("utf-8", "backslashreplace"))
    return output


def html_of(document: Document) -> str:
    """A document as an HTML file that needs nothing else."""
    html = one_file(document.title, ENTRY, plain(document), STYLES)
    return html.replace(PLACE, f"{PLACE}\n{WITHOUT_SCRIPT}", 1)


def report_of(
    subjects: Sequence[Subject],
    *,
    title: str | None = None,
    pictures: int = PICTURES,
    first: Sequence[Section] = (),
    last: Sequence[Section] = (),
) -> Document:
    """The report of some subjects.

    Args:
        subjects: at least one.
        title: by default what they are.
        pictures: queries of each kind that are pictured.
        first: sections that come before all others, in place of the table of results.
        last: sections that come after all others.
    """
    groups, thumbnails = grouped(subjects), Thumbnails()
    shown, unlabelled = _shown(groups), [each for each in subjects if each.evaluation is None]
    opening: Sequence[Section | None] = first or [results(groups)]
    sections: list[Section | None] = [
        *opening,
        comparisons(groups),
        curves(groups),
        codes([*_first_of_each(groups), *unlabelled]),
        overlap([each for each in subjects if each.evaluation is not None]),
        classes(shown),
        pictured_queries([*([shown] if shown else []), *unlabelled], pictures, thumbnails),
        training(groups),
        timing(groups),
        repeat(subjects),
        *last,
    ]
    return Document(
        title or _title(subjects),
        _lead(subjects, groups),
        [section for section in sections if section is not None],
        thumbnails.addresses,
    )


def _shown(groups: Sequence[Group]) -> Subject | None:
    """The subject whose queries and classes are shown: the first with codes in the group with the highest score."""
    with_codes = [group for group in groups if any(each.pair is not None for each in group.subjects)]
    best = best_of(with_codes)
    return None if best is None else next(each for each in best.subjects if each.pair is not None)


def _first_of_each(groups: Sequence[Group]) -> list[Subject]:
    """One subject of each group: codes of other seeds look alike."""
    found = (next((each for each in group.subjects if each.pair is not None), None) for group in groups)
    return [subject for subject in found if subject is not None]


def _title(subjects: Sequence[Subject]) -> str:
    protocols = list(dict.fromkeys(subject.protocol for subject in subjects))
    names = protocols if all(subject.run for subject in subjects) else [subject.name for subject in subjects]
    return f"Retrieval report: {', '.join(dict.fromkeys(names[:3]))}" + (", ..." if len(names) > 3 else "")


def _lead(subjects: Sequence[Subject], groups: Sequence[Group]) -> str:
    runs = sum(subject.run is not None for subject in subjects)
    counts = [(runs, "run"), (len(subjects) - runs, "index")]
    words = [f"{count} {name if count == 1 else _plural(name)}" for count, name in counts if count]
    items = [len(each.pair.database) for each in subjects if each.run is None and each.pair is not None]
    words += [f"{', '.join(f'{count:,}' for count in dict.fromkeys(items))} items"] if items else []
    if runs > 1 and groups:
        methods = len(methods_of(groups))
        words.append(f"{methods} method{'s' if methods > 1 else ''}")
    words.append(f"{', '.join(str(bits) for bits in sorted({subject.bits for subject in subjects}))} bits")
    return " · ".join(words)


def _plural(name: str) -> str:
    return "indexes" if name == "index" else f"{name}s"
