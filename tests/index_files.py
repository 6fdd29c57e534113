"""Everything that an index has, to compare it with another byte for byte."""

from __future__ import annotations

from vtsearch.index import Index


def files_of(folder):
    """The bytes of all files of an index but its SQLite file, in the order of segments; and what that file says."""
    with Index.open(folder) as index:
        index.verify()
        files = [folder / subfolder / name for segment in index.segments for subfolder, name in segment.files.items()]
        return [file.read_bytes() for file in files], index.fingerprints, index.description, index.classes
