from __future__ import annotations

import pytest

from vtsearch.reproduction import earlier_methods, published_map
from vtsearch.reproduction.published import TABLES, published_rows


def test_the_package_brings_every_published_number():
    assert {table: len(published_rows(table)) for table in TABLES} == {1: 360, 2: 15, 3: 360}
    protocols = {row.protocol for row in published_rows(1)}
    assert protocols == {"cifar10@54000", "cifar10@all", "imagenet100@1000", "nuswide21@5000", "mscoco@5000"}
    assert sum(len(earlier_methods(protocol)) for protocol in protocols) == 86 - 15


@pytest.mark.parametrize(
    ("cell", "percent"),
    [
        (("cifar10@54000", "alexnet", "all", "dsh", 16), 73.5),
        (("cifar10@54000", "resnet50", "all", "dsh", 16), 69.1),
        (("cifar10@54000", "vts32", "cls", "hashnet", 64), 95.5),
        (("cifar10@54000", "vts16", "all", "csq", 16), 97.9),
        (("digits", "vts16", "all", "csq", 16), None),
        (("cifar10@54000", "vts16", "all", "csq", 48), None),
    ],
)
def test_numbers_are_found_by_our_words(cell, percent):
    assert published_map(*cell) == percent


def test_tables_agree_where_they_print_the_same_cell():
    cells = {}
    for table in TABLES:
        for row in published_rows(table):
            cell = (row.protocol, row.backbone, row.features, row.framework, row.bits)
            assert cells.setdefault(cell, row.percent) == row.percent


def test_averages_over_table_1_are_those_that_were_worked_out_by_hand():
    def mean(protocol, backbone):
        found = [r.percent for r in published_rows(1) if (r.protocol, r.backbone) == (protocol, backbone)]
        assert len(found) == 18
        return round(sum(found) / 18, 2)

    assert [mean("cifar10@54000", name) for name in ("alexnet", "resnet50", "vts32", "vts16")] == [
        76.48,
        78.65,
        95.40,
        97.64,
    ]
    assert [mean("mscoco@5000", name) for name in ("alexnet", "resnet50", "vts32", "vts16")] == [
        68.65,
        73.39,
        79.04,
        82.77,
    ]


def test_an_unknown_table_is_refused():
    with pytest.raises(ValueError, match="table: expected one of 1, 2, 3, got 4"):
        published_rows(4)
