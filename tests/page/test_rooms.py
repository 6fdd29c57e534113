"""Mistakes, Compare and Duplicates in a real browser."""

from __future__ import annotations

import re

import pytest
from serving import server_of

from vtsearch.index import Index

pytestmark = pytest.mark.slow
DUPLICATES = "#room=duplicates&within=0"


def decisions(folder):
    with Index.open(folder) as index:
        return {each.ids: each.verdict for each in index.decisions()}


def eventually(page, said, folder):
    """Whether the decisions of an index are these within five seconds."""
    for _ in range(50):
        if said(decisions(folder)):
            return True
        page.wait_for_timeout(100)
    return False


def open_duplicates(visit, url, more=""):
    page = visit(url + DUPLICATES + more)
    page.wait_for_selector(".duplicate, main .notice")
    return page


def progress(page):
    return page.inner_text(".progress .big")


def test_queries_stand_in_order_of_average_precision(visit, served):
    page = visit(served + "#room=mistakes")
    page.wait_for_selector(".row")
    values = [float(each.split()[-1]) for each in page.locator(".row .value").all_text_contents()]
    assert values == sorted(values)
    assert len(values) == 45
    assert page.locator(".row >> nth=0 >> .sparkline rect").count() == 44
    assert re.search(r"95 % interval [\d.]+ to [\d.]+", page.inner_text(".scores"))


def test_a_class_shows_its_queries_alone(visit, served):
    page = visit(served + "#room=mistakes")
    page.wait_for_selector(".row")
    page.click(".score:has-text('bee')")
    page.wait_for_function("() => document.querySelectorAll('.row').length === 15")
    assert {each.split("\n")[0] for each in page.locator(".row .who").all_inner_texts()} == {"bee"}
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelectorAll('.row').length === 45")


def test_a_cell_opens_its_pairs(visit, served):
    page = visit(served + "#room=mistakes")
    page.wait_for_selector(".matrix button")
    cell = page.locator(".matrix button").last
    row, column = re.match(r"(.*) finds (.*): ", cell.get_attribute("aria-label")).groups()
    cell.click()
    page.wait_for_selector(".pair")
    assert f"{row} finds {column}" in page.inner_text(".pairs")
    for pair in page.query_selector_all(".pair"):
        query, *found = (each.get_attribute("aria-label") for each in pair.query_selector_all(".tile"))
        assert query == row
        assert set(found) == {f"{column}, {'relevant' if row == column else 'not relevant'}"}
    assert page.locator(".matrix button").last.get_attribute("aria-pressed") == "true"


def test_a_mistake_opens_as_query(visit, served):
    page = visit(served + "#room=mistakes")
    page.wait_for_selector(".row")
    page.click(".row >> nth=2")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    assert page.locator(".tabs [aria-current]").inner_text() == "Neighbours"


def test_two_indexes_answer_one_query(visit, served):
    page = visit(f"{served}#room=compare&id=ant%2F05.png&k=20")
    page.wait_for_selector(".column:nth-child(2) .tile[href]")
    page.wait_for_function("() => document.querySelector('.columns').textContent.includes('mAP 0.')")
    sides = [
        page.eval_on_selector_all(f".column:nth-child({side}) .tile", "tiles => tiles.map(each => each.hash)")
        for side in (1, 2)
    ]
    assert [len(side) for side in sides] == [20, 20]
    shared = set(sides[0]) & set(sides[1])
    assert f"{len(shared)} of 20 results in both" in page.inner_text(".summary")
    place = next(place for place, each in enumerate(sides[0]) if each in shared)
    page.hover(f".column:nth-child(1) .tile >> nth={place}")
    assert page.locator(".lines line").count() == 1
    twins = page.eval_on_selector_all(".twin", "tiles => tiles.map(each => each.hash)")
    assert twins == [sides[0][place]] * 2
    headings = page.locator(".column header").all_inner_texts()
    assert re.search(r"photos-32\s+32 bits.*mAP [\d.]+ \([\d.]+ to [\d.]+\)", headings[0], re.DOTALL)
    assert re.search(r"photos-16\s+16 bits", headings[1])


def test_an_upload_is_compared(visit, served, photos):
    page = visit(served + "#room=compare")
    page.wait_for_selector("main .notice")
    page.set_input_files("input[type=file]", photos / "bee" / "05.png")
    page.wait_for_selector(".column:nth-child(2) .tile[href]")
    first = [page.locator(f".column:nth-child({side}) .tile").first.get_attribute("aria-label") for side in (1, 2)]
    assert first == ["bee, distance 0"] * 2


def test_decisions_by_key_are_kept_over_a_restart(visit, index_of_ones_own):
    folder = index_of_ones_own
    with server_of(folder) as server:
        page = open_duplicates(visit, server.url)
        assert progress(page) == "0 of 6"
        assert "No file is deleted." in page.inner_text(".progress")
        page.keyboard.press("2")
        page.wait_for_selector(".duplicate.decided")
        page.keyboard.press("a")
        page.keyboard.press("n")
        page.wait_for_function("() => document.querySelectorAll('.decided').length === 3")
        assert progress(page) == "3 of 6"
        assert eventually(page, lambda said: "distinct" in said.values(), folder)
        said = decisions(folder)
        assert sorted(said.values()) == ["distinct", *["keep"] * (len(said) - 2), "remove"]
        assert server.end(seconds=60) == 0
    with server_of(folder) as server:
        page = open_duplicates(visit, server.url)
        assert page.locator(".duplicate").count() == 3
        assert page.locator(".decided").count() == 0
        page = open_duplicates(visit, server.url, "&decided=true")
        assert page.locator(".decided").count() == 2  # those that are no duplicates are no group
        assert decisions(folder) == said


def test_undo_restores_what_was_said_before(visit, index_of_ones_own):
    folder = index_of_ones_own
    with server_of(folder) as server:
        page = open_duplicates(visit, server.url)
        for key in ["1", "n", "a"]:
            page.keyboard.press(key)
        page.wait_for_function("() => document.querySelectorAll('.decided').length === 3")
        for left in [2, 1, 0]:
            page.keyboard.press("u")
            page.wait_for_function(f"() => document.querySelectorAll('.decided').length === {left}")
        assert eventually(page, lambda said: said == {}, folder)
        assert progress(page) == "0 of 6"


def test_a_decided_group_folds_and_the_next_is_in_focus(visit, index_of_ones_own):
    with server_of(index_of_ones_own) as server:
        page = open_duplicates(visit, server.url)
        page.locator(".duplicate >> nth=1 >> .keep >> nth=1").click()
        page.wait_for_selector(".decided")
        second, third = page.locator(".duplicate").nth(1), page.locator(".duplicate").nth(2)
        assert "keep" in second.inner_text()
        assert third.evaluate("each => each === document.activeElement")
        second.get_by_text("Undo").click()
        page.wait_for_selector(".decided", state="detached")


def test_a_group_sets_out_what_differs(visit, served):
    page = open_duplicates(visit, served)
    first = page.locator(".duplicate").first
    assert re.search(r"Group 1 of 6\s+\d pictures\s+equal codes", first.inner_text())
    words = first.inner_text()
    assert "bytes" in words or "modified" in words
    assert "width" not in words
    assert page.locator(".verb, .keep").count() == 0  # this server is read-only
    assert "read-only" in page.inner_text(".progress")


def test_no_duplicates_says_so(visit, served):
    page = open_duplicates(visit, served, "&where=id+%3D+%27ant%2F05.png%27")
    assert "No duplicates within radius 0" in page.inner_text("main")
