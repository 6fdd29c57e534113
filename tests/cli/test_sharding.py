"""--shards and --ray: the same answers on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from sharded import BITS, codes_of, grown, labels_of

from vtsearch.cli import main
from vtsearch.index import Index

MADE_BY = {"model": "m", "preprocessing": "p"}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return grown(tmp_path_factory.mktemp("sharding") / "index").path


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("queries") / "index", BITS, fingerprints=MADE_BY) as index:
        index.add(codes_of(70, 20), [f"q{n}" for n in range(20)], labels_of("single", 70, 20))
    return index.path


def printed(capsys, *words):
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("own", [[], ["--where", "number < 70"], ["--with-self", "-k", 3], ["--bits", 13], ["--json"]])
def test_search(index, capsys, own):
    words = ["search", "1/0", "3/7", codes_of(1, 1).tobytes().hex(), "--index", index, *own]
    expected = printed(capsys, *words)
    assert printed(capsys, *words, "--shards", 3) == expected
    assert printed(capsys, *words, "--shards", 1) == expected


def test_an_explanation_is_that_of_one_process(index, capsys):
    words = ["search", "1/0", "--index", str(index), "--explain"]
    assert main(words) == 0
    assert "items without tables by a scan" in capsys.readouterr().err
    assert main([*words, "--shards", "2"]) == 2
    assert "explain: expected an index that this process searches, got a sharded one" in capsys.readouterr().err


def test_a_condition_for_no_item_at_all(index, capsys):
    assert main(["evaluate", "--queries", str(index), "--database", str(index), "--where", "number < 0"]) == 2
    expected = "where: expected a condition that holds for at least one item, got 'number < 0'"
    assert expected in capsys.readouterr().err


def test_a_number_of_shards_that_is_none(index, capsys):
    assert main(["search", "1/0", "--index", str(index), "--shards", "0"]) == 2
    assert "shards: expected at least 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize("own", [[], ["-k", 20], ["--where", "number < 70"], ["--bits", 13, "--json"]])
def test_evaluate(index, queries, capsys, own):
    words = ["evaluate", "--queries", queries, "--database", index, *own]
    assert printed(capsys, *words, "--shards", 3) == printed(capsys, *words)


def test_evaluate_leaves_queries_out_that_are_in_the_database(index, capsys):
    words = ["evaluate", "--queries", index, "--database", index, "--exclude", "ids", "-k", 5]
    assert printed(capsys, *words, "--shards", 3) == printed(capsys, *words)


def test_an_array_has_no_shards(queries, tmp_path, capsys):
    np.save(tmp_path / "codes.npy", codes_of(1, 30))
    np.save(tmp_path / "labels.npy", labels_of("single", 1, 30))
    codes, labels = f"{tmp_path}/codes.npy", f"{tmp_path}/labels.npy"
    words = ["evaluate", "--queries", codes, "--query-labels", labels, "--database", codes, "--database-labels", labels]
    assert main([*words, "--shards", "2"]) == 2
    assert "shards: expected a database that is an index, got an array" in capsys.readouterr().err
