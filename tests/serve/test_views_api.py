"""Views of a whole index by HTTP, against the library."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from vtsearch import metrics
from vtsearch.codes import unpack
from vtsearch.index import Index


def get(client, path, **params):
    answer = client.get(f"/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client, path, **params):
    answer = client.get(f"/v1/{path}", params=params)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


@pytest.fixture(scope="module")
def index(folders):
    with Index.open(folders["photos"]) as index:
        yield index


@pytest.fixture(scope="module")
def codes(index):
    return index.codes()


def test_the_server_says_what_it_serves(client, index):
    about = get(client, "index")
    assert [each["name"] for each in about["indexes"]] == ["photos", "tags", "odd", "empty"]
    assert [each["labels"] for each in about["indexes"]] == ["single", "multi", "none", "none"]
    photos = about["indexes"][0]
    assert (photos["items"], photos["bits"], photos["classes"]) == (len(index), 16, list(index.classes))
    assert photos["columns"] == {"width": "INTEGER", "ratio": "REAL", "note": "TEXT"}
    assert (photos["pictures"], photos["encodes"], photos["model"], photos["folder"]) == (False, False, None, "photos")
    assert (about["writable"], about["decides"]) == (False, True)
    assert about["limits"] == {"k": 1000, "batch": 256, "upload_bytes": 32 * 2**20, "pixels": 2**26}


def test_facets_count_labels_and_values(client, index):
    facets = get(client, "facets", where="width < 20")
    mask = index.where("width < 20")
    assert facets["items"] == facets["sampled"] == np.count_nonzero(mask)
    counts = Counter(index.labels()[mask].tolist())
    assert {each["label"]: each["count"] for each in facets["labels"]} == counts
    assert [each["name"] for each in facets["labels"]] == list(index.classes)
    notes = [value for value, holds in zip(index.metadata()["note"], mask, strict=True) if holds]
    column = facets["columns"][2]
    assert {each["value"]: each["count"] for each in column["values"]} == Counter(notes)
    assert (column["missing"], column["least"], column["most"]) == (0, min(notes), max(notes))
    assert get(client, "facets")["columns"][0]["missing"] == np.count_nonzero(index.where("width IS NULL"))


def test_facets_of_several_labels_of_none_and_of_nothing(client, folders):
    with Index.open(folders["tags"]) as tags:
        counts = tags.labels().sum(axis=0).tolist()
    found = get(client, "facets", index="tags")["labels"]
    assert [each["count"] for each in found] == counts
    assert [each["name"] for each in found] == ["red", "round", "2", "3"]
    assert get(client, "facets", index="odd") == {"items": 15, "sampled": 15, "labels": [], "columns": []}
    assert get(client, "facets", index="empty") == {"items": 0, "sampled": 0, "labels": [], "columns": []}


def test_bits_have_their_balance_and_their_partner(client, codes):
    bits, values = get(client, "bits"), unpack(codes, 16)
    assert bits["sampled"] == len(codes)
    np.testing.assert_allclose(bits["balance"], values.mean(axis=0))
    correlations = np.corrcoef(values.T) - np.eye(16)
    np.testing.assert_allclose(bits["correlation"], correlations[np.arange(16), bits["partner"]])
    np.testing.assert_allclose(np.abs(bits["correlation"]), np.abs(correlations).max(axis=1))


def test_items_on_either_side_of_a_bit(client):
    sides = get(client, "bits/5")
    assert (len(sides["zeros"]), len(sides["ones"])) == (8, 8)
    for expected, side in ("0", sides["zeros"]), ("1", sides["ones"]):
        assert {f"{int(item['code'], 16):016b}"[5] for item in side} == {expected}
    assert sides["balance"] == get(client, "bits")["balance"][5]
    assert refused(client, "bits/16") == (404, "bit: expected one of 0 to 15, got 16")
    assert refused(client, "bits/-1")[0] == 422
    assert refused(client, "bits/x")[0] == 422


def test_mistakes_are_queries_by_average_precision(client, index, codes):
    found = get(client, "mistakes", limit=200)
    values = metrics.average_precision(codes, codes, index.labels(), index.labels(), exclude=np.arange(len(codes)))
    assert found["map"]["expected"] == pytest.approx(values.mean())
    shown = [each["average_precision"] for each in found["results"]]
    np.testing.assert_allclose(shown, np.sort(values)[:200])
    first = found["results"][0]
    assert first["item"]["id"] == index.ids()[int(np.argsort(values, kind="stable")[0])]
    answers = client.post("/v1/search", json={"id": first["item"]["id"], "k": 50}).json()["results"]
    assert first["relevance"] == "".join("01"[each["relevant"]] for each in answers)
    assert first["wrong"] == first["relevance"].count("0")
    assert (found["sampled"], found["of"], found["total"]) == (len(codes),) * 3


def test_mistakes_of_a_class_and_of_a_part(client):
    everything = get(client, "mistakes", limit=200)
    of_class = get(client, "mistakes", **{"class": 1}, limit=5, offset=2)
    expected = [each for each in everything["results"] if each["item"]["labels"] == [1]]
    assert of_class["results"] == expected[2:7]
    assert of_class["total"] == next(each["queries"] for each in everything["classes"] if each["label"] == 1)
    nobody = get(client, "mistakes", **{"class": 77})
    assert (nobody["total"], nobody["results"]) == (0, [])


def test_the_pairs_behind_a_cell_of_the_confusion(client):
    confusion = get(client, "mistakes")["confusion"]
    assert sum(map(sum, confusion["counts"])) == 257 * confusion["top"]
    pairs = get(client, "mistakes/pairs", row=0, column=2, limit=200)
    assert pairs["total"] == confusion["counts"][0][2]
    distances = [each["distance"] for each in pairs["pairs"]]
    assert distances == sorted(distances)
    for each in pairs["pairs"]:
        assert (each["query"]["labels"], each["found"]["labels"]) == ([0], [2])
        assert each["distance"] == (int(each["query"]["code"], 16) ^ int(each["found"]["code"], 16)).bit_count()
    assert get(client, "mistakes", index="tags")["confusion"] is None


@pytest.mark.parametrize(
    ("path", "params", "sentence"),
    [
        ("mistakes", {"index": "odd"}, "index: expected an index with labels, got odd, which has none"),
        ("mistakes", {"queries": "odd"}, "queries: expected an index with labels, got odd, which has none"),
        ("mistakes", {"queries": "tags"}, "queries: expected codes of 16 bits as in photos, got 20"),
        (
            "mistakes/pairs",
            {"index": "tags", "row": 0, "column": 1},
            "index: expected one label per item, got several in tags",
        ),
        ("mistakes/pairs", {"row": 0}, "column: expected a value, got nothing"),
        ("bits", {"index": "empty"}, "index: expected an index with items, got empty, which has none"),
        ("bits/0", {"index": "empty"}, "index: expected an index with items, got empty, which has none"),
        ("duplicates", {}, "radius: expected a value, got nothing"),
    ],
)
def test_mistakes_in_questions(client, path, params, sentence):
    assert refused(client, path, **params) == (422, sentence)


@pytest.mark.parametrize("path", ["facets", "bits", "bits/0", "mistakes", "decisions", "duplicates", "items/x"])
def test_an_index_that_is_not_served(client, path):
    sentence = "index: no index 'x' is served; expected one of photos, tags, odd, empty"
    assert refused(client, path, index="x", radius=1) == (404, sentence)


def test_all_items_gone_leave_views_with_a_sentence(writing):
    with Index.open(writing.folder) as index:
        index.remove(where="1")
    writing.post("/v1/decisions/forget", json={"ids": ["x"]})
    while writing.get("/v1/index").json()["indexes"][0]["items"]:
        writing.get("/v1/facets")
    sentence = "index: expected an index with items, got photos, which has none"
    assert refused(writing, "mistakes") == refused(writing, "bits") == (422, sentence)
    facets = get(writing, "facets")
    assert (facets["items"], facets["columns"][0]["values"], facets["columns"][0]["least"]) == (0, [], None)


def test_groups_of_duplicates_are_those_of_the_library(client, index):
    page = get(client, "duplicates", radius=0, limit=200)
    groups = index.duplicate_groups(0)
    assert (page["groups"], page["undecided"]) == (len(groups), len(groups))
    assert page["redundant"] == sum(len(group.ids) - 1 for group in groups)
    shown = [(each["key"], each["diameter"], [item["id"] for item in each["items"]]) for each in page["results"]]
    assert shown == [(group.key, group.diameter, list(group.ids)) for group in groups]
    part = get(client, "duplicates", radius=0, limit=3, offset=2)
    assert part["results"] == page["results"][2:5]
    filtered = get(client, "duplicates", radius=0, limit=200, where="label = 1")
    assert filtered["groups"] == len(index.duplicate_groups(0, where="label = 1"))


def test_the_item_to_keep(client, index):
    page = get(client, "duplicates", radius=0, keep="path=dir/2", limit=200)
    expected = [list(group.ids) for group in index.duplicate_groups(0, keep="path=dir/2")]
    assert [[item["id"] for item in each["items"]] for each in page["results"]] == expected
    with pytest.raises(ValueError) as error:
        index.duplicate_groups(0, keep="nothing")
    assert refused(client, "duplicates", radius=0, keep="nothing") == (422, str(error.value))


def decide(client, *said):
    decisions = [{"verdict": verdict, "ids": list(ids)} for verdict, *ids in said]
    answer = client.post("/v1/decisions", json={"decisions": decisions})
    return answer.json().get("decisions", answer.json().get("detail"))


def test_decisions_are_kept_and_forgotten(writing):
    group = get(writing, "duplicates", radius=0)["results"][0]
    first, *others = (item["id"] for item in group["items"])
    assert decide(writing, ("keep", first), *(("remove", name) for name in others)) == 1 + len(others)
    page = get(writing, "duplicates", radius=0)
    assert (page["undecided"], page["results"][0]["key"] == group["key"]) == (page["groups"] - 1, False)
    answered = get(writing, "duplicates", radius=0, answered=True)["results"][0]
    assert [item["verdict"] for item in answered["items"]] == ["keep"] + ["remove"] * len(others)
    with Index.open(writing.folder) as index:
        assert next((each.verdict, *each.ids) for each in index.decisions()) == ("keep", first)
    forgotten = writing.post("/v1/decisions/forget", json={"ids": [first, *others, "nobody"]})
    assert forgotten.json() == {"decisions": 0}
    assert get(writing, "duplicates", radius=0)["results"][0] == group


def test_distinct_items_are_never_shown_together(writing):
    group = get(writing, "duplicates", radius=0)["results"][0]
    names = [item["id"] for item in group["items"]]
    assert decide(writing, ("distinct", *names)) == 1
    assert group["key"] not in {each["key"] for each in get(writing, "duplicates", radius=0, limit=200)["results"]}


def test_decisions_that_make_no_sense(writing):
    for said in ("keep", "a", "b"), ("distinct", "a"), ("keep", "nobody"):
        with Index.open(writing.folder) as index, pytest.raises(ValueError) as error:
            index.decide([(said[0], said[1:])])
        assert decide(writing, said) == str(error.value)
    assert decide(writing, ("maybe", "a")).startswith("decisions.0.verdict: input should be 'keep', 'remove' or")
    assert get(writing, "decisions") == {"decisions": []}
