"""--shards and --ray: the same answers on the command line."""

from __future__ import annotations

import pytest
from sharded import BITS, codes_of, grown, labels_of

from vtsearch.cli import main
from vtsearch.index import Index


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return grown(tmp_path_factory.mktemp("sharding") / "index").path


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("queries") / "index", BITS) as index:
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


def test_a_number_of_shards_that_is_none(index, capsys):
    assert main(["search", "1/0", "--index", str(index), "--shards", "0"]) == 2
    assert "shards: expected at least 1, got 0" in capsys.readouterr().err
