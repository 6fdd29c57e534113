"""Small indexes, and the way through another tool and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from exchange_fixtures import labels_of, metadata_of, random_codes

from vtsearch.exchange import export, read
from vtsearch.index import Index


@pytest.fixture
def make_index(tmp_path):
    """make_index(n, bits, ...) -> an open index, of several segments where it has more than two items."""
    opened = []

    def make(n=50, bits=64, *, ids=None, labels="none", metadata=False, name="source", **about):
        codes, truth = random_codes(n, bits), labels_of(labels, n)
        columns = metadata_of(n) if metadata else {}
        index = Index.create(tmp_path / name, bits, **about)
        opened.append(index)
        for start, stop in ((0, n // 3), (n // 3, n)):
            if stop > start:
                index.add(
                    codes[start:stop],
                    None if ids is None else ids[start:stop],
                    None if truth is None else truth[start:stop],
                    {column: values[start:stop] for column, values in columns.items()},
                )
        return index

    yield make
    for index in opened:
        index.close()


@pytest.fixture
def exchanged(tmp_path):
    """exchanged(index, name, ...) -> the index that an export and an import of it give."""

    def through(index, name, *, bits=None, **options):
        target = name if "://" in str(name) else tmp_path / name
        export(index, target, **options)
        options.pop("overwrite", None)
        new = tmp_path / f"imported-{Path(str(name)).name.replace('?', '-')[-40:]}"
        assert read(target, bits=bits, **options).create(new) == len(index)
        with Index.open(new) as imported:
            imported.verify()
        return Index.open(new)

    return through
