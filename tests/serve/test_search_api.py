"""Searches by HTTP: what the library answers, in the library's order."""

from __future__ import annotations

import numpy as np
import pytest

from vtsearch.index import Index
from vtsearch.serve import wire


def search(client, **request):
    answer = client.post("/v1/search", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer):
    """The status and the sentence of an error, whose form is checked."""
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert set(content) == {"type", "title", "status", "detail"}
    assert content["status"] == answer.status_code
    return answer.status_code, content["detail"]


def refused(client, **request):
    return problem(client.post("/v1/search", json=request))


@pytest.fixture(scope="module")
def index(folders):
    with Index.open(folders["photos"]) as index:
        yield index


def timeless(answer):
    return {name: value for name, value in answer.items() if name not in {"timings", "how"}}


def found(answer):
    return [(result["id"], result["distance"]) for result in answer["results"]]


def expected(index, code, k, **options):
    answers = index.search(code, k, **options)
    return list(zip(answers.ids[0], answers.distances[0].tolist(), strict=True))


@pytest.mark.parametrize("k", [1, 2, 5, 17, 50, 256, 257, 1000])
def test_results_are_those_of_the_library_in_its_order_and_k_cuts_inside_ties(client, index, k):
    code = index.code(3)
    assert found(search(client, code=code.tobytes().hex(), k=k)) == expected(index, code, min(k, len(index)))


def test_results_are_ordered_by_distance_then_position(client, index):
    answer = search(client, code="0000", k=1000)
    places = dict(zip(index.ids(), range(len(index)), strict=True))
    keys = [(result["distance"], places[result["id"]]) for result in answer["results"]]
    assert keys == sorted(keys)
    assert len(keys) == len(index)


def test_an_answer_describes_the_items(client, index):
    answer = search(client, id="dir/101.png", k=9, exclude_self=False)
    first = next(result for result in answer["results"] if result["id"] == "dir/101.png")
    assert first["distance"] == 0
    assert (first["labels"], first["names"]) == ([2], ['<img src=x onerror="alert(1)">'])
    assert first["metadata"] == {"width": 21, "ratio": 101 / 7, "note": "n1"}
    assert first["code"] == index.code(index.position("dir/101.png")).tobytes().hex()
    assert (first["thumbnail"], first["image"]) == (None, None)
    assert answer["query"] == {name: value for name, value in first.items() if name not in {"distance", "relevant"}}
    assert (answer["index"], answer["bits"], answer["items"]) == ("photos", 16, len(index))
    assert answer["generation"] == index.generation


def test_an_item_does_not_find_itself_unless_it_is_asked_to(client, index):
    assert "dir/101.png" not in dict(found(search(client, id="dir/101.png", k=1000)))
    answers = index.search_items(["dir/101.png"], 20)
    assert found(search(client, id="dir/101.png", k=20)) == list(
        zip(answers.ids[0], answers.distances[0].tolist(), strict=True)
    )
    assert search(client, id="dir/101.png")["items"] == len(index) - 1
    assert "dir/101.png" in dict(found(search(client, id="dir/101.png", k=1000, exclude_self=False)))


def test_relevance_is_a_shared_label(client, folders):
    with Index.open(folders["tags"]) as index:
        labels = dict(zip(index.ids(), index.labels(), strict=True))
    for result in search(client, index="tags", id="t5", k=89)["results"]:
        assert result["relevant"] is bool((labels[result["id"]] & labels["t5"]).any())
        assert result["labels"] == np.flatnonzero(labels[result["id"]]).tolist()
    assert {result["relevant"] for result in search(client, code="0000")["results"]} == {None}
    assert {result["relevant"] for result in search(client, index="odd", id="%")["results"]} == {None}


def test_histograms_are_those_of_the_library(client, index):
    code, labels = index.code(9), index.labels()
    same = labels == labels[9]
    answer = search(client, id=index.ids()[9], k=1, where="width > 5")
    where = index.where("width > 5")
    assert answer["histogram"]["counts"] == index.histogram(code, mask=where, exclude=[[9]])[0].tolist()
    assert answer["histogram"]["relevant"] == index.histogram(code, mask=where & same, exclude=[[9]])[0].tolist()
    assert sum(answer["histogram"]["counts"]) == answer["items"]
    assert search(client, code="0000", k=1)["histogram"]["relevant"] is None
    assert search(client, code="0000", k=1, histogram=False)["histogram"] is None


@pytest.mark.parametrize("radius", [0, 1, 4, 16, 65528])
def test_a_radius_bounds_the_distances(client, radius):
    everything = found(search(client, code="0102", k=1000))
    assert found(search(client, code="0102", k=1000, radius=radius)) == [
        each for each in everything if each[1] <= radius
    ]
    assert (
        found(search(client, code="0102", k=3, radius=radius)) == [each for each in everything if each[1] <= radius][:3]
    )


@pytest.mark.parametrize("where", ["width < 7", "label = 1 AND note = 'n2'", "width IS NULL", "id LIKE 'dir/1%'", "0"])
def test_a_condition_bounds_what_is_found(client, index, where):
    answer = search(client, code="0102", k=40, where=where)
    count = np.count_nonzero(index.where(where))
    assert answer["items"] == count
    assert found(answer) == expected(index, np.array([[1, 2]], dtype=np.uint8), 40, where=where)


def test_conditions_on_several_labels(client, folders):
    with Index.open(folders["tags"]) as index:
        count = np.count_nonzero(index.labels()[:, 3])
    assert search(client, index="tags", code="000000", where="has_label(labels, 3)")["items"] == count


def test_excluded_items_are_not_found(client, index):
    hidden = ["dir/001.png", "dir/002.png", "nobody", "dir/001.png"]
    answer = search(client, code="0000", k=1000, exclude=hidden)
    assert answer["items"] == len(index) - 2 == len(answer["results"]) == sum(answer["histogram"]["counts"])
    assert not {"dir/001.png", "dir/002.png"} & set(dict(found(answer)))
    answer = search(client, id="dir/003.png", k=1000, exclude=hidden, where="width < 30")
    assert answer["items"] == len(answer["results"]) == sum(answer["histogram"]["counts"])


@pytest.mark.parametrize("bits", [1, 7, 8, 16])
def test_the_first_bits_alone_are_compared(client, index, bits):
    answer = search(client, id="dir/004.png", k=30, bits=bits)
    answers = index.search_items(["dir/004.png"], 30, bits=bits)
    assert found(answer) == list(zip(answers.ids[0], answers.distances[0].tolist(), strict=True))
    assert answer["bits"] == bits
    assert len(answer["histogram"]["counts"]) == bits + 1


def test_a_condition_alone_finds_items_in_the_order_of_the_index(client, index):
    answer = search(client, where="width = 3", k=4)
    names = [name for name, holds in zip(index.ids(), index.where("width = 3"), strict=True) if holds]
    assert [result["id"] for result in answer["results"]] == names[:4]
    assert answer["items"] == len(names)
    assert {result["distance"] for result in answer["results"]} == {None}
    assert (answer["query"], answer["histogram"]) == (None, None)


def test_an_empty_index_answers_with_nothing(client):
    answer = search(client, index="empty", code="0000")
    assert (answer["items"], answer["results"], sum(answer["histogram"]["counts"])) == (0, [], 0)


def queries():
    return [
        {"id": "dir/001.png", "k": 3},
        {"code": "0f0f", "k": 7, "where": "width < 9"},
        {"code": "0f0f", "k": 200, "where": "width < 9", "radius": 5},
        {"id": "dir/002.png", "bits": 5, "exclude": ["dir/003.png"]},
        {"where": "label = 2", "k": 2},
        {"index": "tags", "id": "t1", "k": 4},
        {"index": "odd", "code": "ff", "histogram": False},
        {"index": "empty", "code": "0000"},
    ]


def test_batched_answers_equal_single_ones(client):
    asked = queries() * 8
    answers = client.post("/v1/search/batch", json={"queries": asked}).json()["answers"]
    assert list(map(timeless, answers)) == [timeless(search(client, **query)) for query in asked]


def test_a_batch_may_have_many_conditions(client):
    asked = [{"code": "0000", "where": f"width = {number}"} for number in range(60)]
    asked += [{"where": f"width = {number}"} for number in range(60)]
    answers = client.post("/v1/search/batch", json={"queries": asked}).json()["answers"]
    assert [answer["items"] for answer in answers[:60]] == [answer["items"] for answer in answers[60:]]


def test_a_batch_with_a_mistake_is_that_mistake(client):
    answer = client.post("/v1/search/batch", json={"queries": [{"code": "0000"}, {"code": "00"}]})
    assert problem(answer) == (422, "code: expected 4 hexadecimal digits, got '00'")


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"id": "nope"}, 404, "id: expected an item of photos, got 'nope'"),
        ({"id": "dir/000.png"}, 404, "id: expected an item of photos, got 'dir/000.png'"),  # was removed
        ({"index": "photo", "code": "0000"}, 404, "index: no index 'photo' is served; did you mean 'photos'?"),
        ({"code": "zz"}, 422, "code: expected 4 hexadecimal digits, got 'zz'"),
        ({"code": "00 0"}, 422, "code: expected 4 hexadecimal digits, got '00 0'"),
        ({"index": "tags", "code": "000001"}, 422, "code: expected zeros behind bit 20, got '000001'"),
        ({"id": "dir/001.png", "code": "0000"}, 422, "code: expected one query, got id and code"),
        ({"code": "0000", "k": 0}, 422, "k: input should be greater than or equal to 1, got 0"),
        ({"code": "0000", "k": 1001}, 422, "k: input should be less than or equal to 1000, got 1001"),
        ({"code": "0000", "radius": -1}, 422, "radius: input should be greater than or equal to 0, got -1"),
        ({"code": "0000", "bits": 17}, 422, "bits: expected at most 16, got 17"),
        ({"code": "0000", "kk": 1}, 422, "kk: no such field"),
        ({"code": 5}, 422, "code: input should be a valid string, got 5"),
    ],
)
def test_mistakes_are_told_in_one_sentence(client, request_, status, sentence):
    assert refused(client, **request_) == (status, sentence)


@pytest.mark.parametrize(
    "where",
    [
        "1; DROP TABLE item",
        "1) UNION SELECT id FROM item --",
        "id IN (SELECT id FROM items)",
        "(SELECT 1)",
        "pragma_table_info('items')",
        "load_extension('evil.so')",
        "readfile('/etc/passwd')",
        "randomblob(1000000000) IS NULL",
        "zeroblob(1000000000) IS NULL",
        "ATTACH 'x' AS y",
        "no_such = 3",
        "width = ?",
        "rowid = 1",
        "",
        "\0",
        "(" * 1500 + "1" + ")" * 1500,
        "label = 3 AND drop",
    ],
)
def test_a_condition_can_do_nothing_but_compute_and_its_error_is_that_of_the_library(client, index, where):
    with pytest.raises(ValueError) as error:
        index.where(where)
    line = " ".join(str(error.value).split())
    assert refused(client, code="0000", where=where) == (422, line)
    assert problem(client.get("/v1/facets", params={"where": where})) == (422, line)
    assert problem(client.get("/v1/duplicates", params={"where": where, "radius": 1})) == (422, line)


def test_texts_and_lists_are_bounded(client):
    status, sentence = refused(client, code="0000", where="1 OR " * 1000)
    assert (status, sentence.split(",")[0]) == (422, "where: string should have at most 4096 characters")
    assert refused(client, id="x" * 5000)[0] == 422
    assert refused(client, code="0000", exclude=["x"] * 1001)[0] == 422
    many = {"queries": [{"code": "0000"}] * (wire.MOST_QUERIES + 1)}
    assert problem(client.post("/v1/search/batch", json=many))[0] == 422
    assert problem(client.post("/v1/search/batch", json={"queries": []}))[0] == 422


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/v1/search", b"{", 422),
        ("/v1/search", b"", 422),
        ("/v1/search", b"[]", 422),
        ("/v1/search", b"null", 422),
        ("/v1/search", b"\xff\xfe", 422),
        ("/v1/search", b'{"id": "\\ud800"}', 422),
        ("/v1/search", b"[" * 100_000, 422),
        ("/v1/search", b'{"k": ' + b"9" * 10_000 + b"}", 422),
        ("/v1/search/batch", b"\xff", 400),
        ("/v1/search/batch", b"[" * 100_000, 400),
        ("/v1/search/batch", b"{", 422),
        ("/v1/search/batch", b"", 422),
    ],
)
def test_a_body_that_is_no_json_of_a_query(client, path, content, status):
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert problem(answer)[0] == status


@pytest.mark.parametrize("path", ["/v1/search/batch", "/v1/items", "/v1/decisions", "/v1/decisions/forget"])
def test_a_body_of_another_type(client, path):
    answer = client.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert problem(answer) == (415, "body: expected application/json, got text/plain")
    assert problem(client.post(path, content=b"{}"))[0] == 415


def test_forms_that_are_none(client):
    png = ("a.png", b"not a picture")
    for path in ("/v1/search", "/v1/encode"):
        assert problem(client.post(path, content=b"{}", headers={"Content-Type": "text/plain"}))[0] == 415
        kinds = ["multipart/form-data", "multipart/form-data; boundary=a"]
        for kind in kinds:
            assert problem(client.post(path, content=b"xx", headers={"Content-Type": kind}))[0] == 422
        assert problem(client.post(path, files={"picture": png}))[0] == 422
        assert problem(client.post(path, files={"image": ("a.png", b"")})) == (
            422,
            "image: expected a file in the form, got none",
        )
        assert problem(client.post(path, files={"image": png}))[0] == 403
    answer = client.post("/v1/search", files={"image": png}, data={"query": '{"id": "dir/001.png"}'})
    assert problem(answer) == (422, "image: expected one query, got id and image")
    assert problem(client.post("/v1/search", files={"image": png}, data={"query": "{"}))[0] == 422
    assert problem(client.post("/v1/search", files=[("image", png), ("image", png)]))[0] == 422


def test_excluded_items_do_not_count_where_a_condition_alone_is_asked(client):
    answer = search(client, where="width < 3", k=1000)
    hidden = [answer["results"][0]["id"], "nobody"]
    fewer = search(client, where="width < 3", k=1000, exclude=hidden)
    assert fewer["items"] == answer["items"] - 1
    assert fewer["results"] == answer["results"][1:]
    assert search(client, k=2, exclude=hidden)["items"] == 256
