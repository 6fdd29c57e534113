"""An index that is written a segment at a time has the segments of one that is written at once."""

from __future__ import annotations

import numpy as np
import pytest

from vtsearch.data.selection import select_images
from vtsearch.data.sources.file_facts import file_facts
from vtsearch.encoding.index_writer import IndexWriter, new_index
from vtsearch.index import changes


@pytest.mark.parametrize("lengths", [[50], [1] * 50, [16, 0, 34], [7, 40, 3]])
def test_segments_are_those_of_an_index_that_is_written_at_once(photos, tmp_path, lengths, monkeypatch):
    monkeypatch.setattr(changes, "MOST_ROWS", 16)
    images = select_images([str(photos)])
    codes = np.random.default_rng(0).integers(0, 255, (50, 2), dtype=np.uint8)
    facts = [file_facts(images.source, position) for position in range(50)]
    files = []
    for most in (10**6, 16):
        with new_index(tmp_path / str(most), images, 16, {}, {}) as index:
            writer, start = IndexWriter(index, images, most=most), 0
            for length in lengths:
                part = slice(start, start + length)
                writer.add(codes[part], images.positions[part], facts[part])
                start += length
            writer.finish()
            index.verify()
            assert len(index.segments) == 4
            files.append(
                [
                    (index.path / subfolder / name).read_bytes()
                    for segment in index.segments
                    for subfolder, name in segment.files.items()
                ]
            )
    assert files[0] == files[1]
