"""Errors in a real browser: each says what to do next; names from an index stay text."""

from __future__ import annotations

import pytest
from serving import HOSTILE as HOSTILE_LABEL
from serving import make_empty, make_odd, make_photos, make_tags, server_of

pytestmark = pytest.mark.slow
ALERTS = "() => window.hit === 1"


def message(page):
    page.wait_for_selector(".notice.error")
    return page.inner_text(".notice.error")


def toast(page):
    page.wait_for_selector(".toasts p")
    return page.inner_text(".toasts")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server of indexes without pictures: one label with hostile names, several, none, and no items."""
    root = tmp_path_factory.mktemp("plain")
    makers = {"photos": make_photos, "tags": make_tags, "odd": make_odd, "empty": make_empty}
    with server_of(*[make(root / name) for name, make in makers.items()], "--read-only") as server:
        yield server.url


def test_a_server_that_is_gone_is_told_and_tried_again(visit, indexes):
    with server_of(indexes[0], "--read-only") as server:
        page = visit(server.url)
        page.wait_for_selector(".samples .tile")
        server.end(seconds=60)
        page.click(".samples .tile >> nth=0")
        text = message(page)
    assert "The server does not answer" in text
    assert "Start `vtsearch serve` again" in text
    assert page.get_by_role("button", name="Try again").count() == 1


def test_trying_again_answers_when_the_server_is_back(visit, served):
    page = visit(served)
    page.wait_for_selector(".samples .tile")
    page.route("**/v1/search", lambda route: route.abort())
    page.click(".samples .tile >> nth=0")
    message(page)
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")


def test_a_file_that_is_no_picture_is_told(visit, served, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    page = visit(served)
    page.wait_for_selector(".samples")
    page.set_input_files("input[type=file]", tmp_path / "notes.png")
    text = message(page)
    assert "The picture cannot be used" in text
    assert "Choose another picture" in text


def test_a_file_that_is_too_large_is_not_sent(visit, indexes, tmp_path):
    (tmp_path / "large.png").write_bytes(bytes(1_200_000))
    with server_of(indexes[0], "--max-upload", "1") as server:
        page = visit(server.url)
        page.wait_for_selector(".samples")
        sent = []
        page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
        page.set_input_files("input[type=file]", tmp_path / "large.png")
        assert "large.png has 1.2 MB; the server takes at most 1.05 MB" in toast(page)
        assert sent == []


def test_an_unknown_id_is_told(visit, served):
    page = visit(served + "#id=nosuch")
    text = message(page)
    assert "No such item" in text
    assert "nosuch" in text
    page.click("text=Begin anew")
    page.wait_for_selector(".samples")


def test_a_wrong_condition_is_told_where_it_stands(visit, served):
    page = visit(served + "#id=ant%2F05.png&where=nosuch+%3D+1")
    assert "no such column: nosuch" in message(page)
    assert "no such column: nosuch" in page.inner_text(".complaint")
    assert page.get_attribute("textarea", "aria-invalid") == "true"
    page.click("text=Remove the filter")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    assert page.locator(".complaint").is_hidden()


def test_a_token_is_asked_for_and_taken_from_the_address(visit, indexes):
    with server_of(indexes[0], "--token", "secret-of-sixteen") as server:
        page = visit(server.url + "#token=secret-of-sixteen&k=20")
        page.wait_for_selector(".samples .tile img")
        assert "token" not in page.url
        assert page.input_value(".index") == "photos-32"
        page = visit(server.url)
        page.fill("dialog input", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog:has-text('not the server')")
        page.fill("dialog input", "secret-of-sixteen")
        page.keyboard.press("Enter")
        page.wait_for_selector(".samples .tile img")
        assert page.wait_for_function("() => document.querySelector('.samples img').naturalWidth > 0")


@pytest.mark.parametrize("room", ["neighbours", "mistakes", "compare", "duplicates"])
def test_hostile_names_of_files_and_classes_stay_text(visit, served, room):
    name = "<img src=x onerror=window.hit=1>"
    page = visit(f"{served}#room={room}&within=0&id=%3Cimg%20src%3Dx%20onerror%3Dwindow.hit%3D1%3E%2F00.png&k=50")
    page.wait_for_selector(".tile[href], .row, .duplicate")
    page.wait_for_timeout(300)
    assert name in page.inner_text("#app")
    assert page.evaluate(ALERTS) is False
    assert page.locator("img[onerror], #app script").count() == 0


def test_hostile_metadata_ids_and_labels_stay_text(visit, plain):
    page = visit(plain + "#id=dir%2F050.png&k=200")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    page.wait_for_selector(".filter .choice")
    assert HOSTILE_LABEL in page.inner_text(".filter")
    assert page.locator("img").count() == 0
    page = visit(plain + "#index=odd")
    page.wait_for_selector(".samples .tile")
    labels = page.eval_on_selector_all(".samples .tile", "tiles => tiles.map(each => each.getAttribute('aria-label'))")
    assert HOSTILE_LABEL in labels
    for place in range(len(labels)):
        page.click(f".samples .tile >> nth={place}")
        page.wait_for_selector(".group .tile, .notice.error")
        assert page.locator(".notice.error").count() == 0, labels[place]
        page.go_back()
        page.wait_for_selector(".samples .tile")


def test_pictures_that_are_missing_show_their_names(visit, plain):
    page = visit(plain + "#id=dir%2F001.png&k=20")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    assert ".png" in page.locator(".group .missing").first.inner_text()


def test_an_index_without_labels_says_so_under_mistakes(visit, plain):
    page = visit(plain + "#index=odd&room=mistakes")
    page.wait_for_selector("main .notice")
    assert "This index has no labels" in page.inner_text("main")


def test_an_index_of_several_labels_is_filtered_and_has_no_matrix(visit, plain):
    page = visit(plain + "#index=tags&id=t0")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    page.click(".choice:has-text('red')")
    page.wait_for_function("() => location.hash.includes('labels')")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    page.click("text=Mistakes")
    page.wait_for_selector(".row")
    assert page.locator(".matrix").count() == 0


def test_an_empty_index_says_how_to_go_on(visit, plain):
    page = visit(plain + "#index=empty")
    page.wait_for_selector("main .notice")
    assert page.locator(".notice.error").count() == 0


def test_a_picture_cannot_be_dropped_on_an_index_without_model(visit, plain, photos):
    page = visit(plain)
    page.wait_for_selector(".samples")
    page.set_input_files("input[type=file]", photos / "bee" / "05.png")
    assert "photos has no model" in toast(page)
