"""Neighbours in a real browser: ways to ask, the radius, tie groups, bits, filters, the address."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from urllib.parse import parse_qs, quote

import pytest

pytestmark = pytest.mark.slow
ANT = f"#id={quote('ant/05.png', safe='')}"
PASTE = """([bytes, kind]) => {
  const data = new DataTransfer();
  const content = Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
  data.items.add(new File([content], "pasted.png", { type: "image/png" }));
  const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def state(page):
    return {name: values[0] for name, values in parse_qs(page.url.partition("#")[2]).items()}


def labels(page, within=".groups"):
    return page.eval_on_selector_all(f"{within} .tile", "tiles => tiles.map(each => each.getAttribute('aria-label'))")


def distances(page):
    return [int(each) for label in labels(page) for each in re.findall(r"distance (\d+)", label)]


def shown(page):
    return page.eval_on_selector_all(".group:not([hidden]) .tile", "tiles => tiles.length")


def results(page, count=None):
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    if count is not None:
        page.wait_for_function(f"() => document.querySelectorAll('.group .tile').length === {count}")


def test_the_first_visit_says_how_to_begin(visit, served):
    page = visit(served)
    page.wait_for_selector(".samples .tile")
    text = page.inner_text("main")
    assert "Drop a picture here. Everything stays on this machine." in text
    assert page.locator(".samples .tile").count() == 6  # two of each class
    page.click(".samples .tile >> nth=0")
    results(page)
    assert "id" in state(page)


def test_an_uploaded_picture_finds_itself_at_distance_0(visit, served, photos):
    page = visit(served)
    page.wait_for_selector(".samples")
    page.set_input_files("input[type=file]", photos / "bee" / "05.png")
    results(page, 45)
    assert labels(page)[0] == "bee, distance 0"
    assert "05.png" in page.inner_text(".strip")
    assert re.fullmatch(r"[0-9a-f]{8}", state(page)["code"])
    assert re.search(r"decode [\d.]+ · model [\d.]+ · ranking [\d.]+ ms", page.inner_text(".timings"))


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_pasted_and_dropped(visit, served, photos, kind):
    page = visit(served)
    page.wait_for_selector(".samples")
    page.evaluate(PASTE, [b64encode((photos / "bee" / "06.png").read_bytes()).decode(), kind])
    results(page, 45)
    assert labels(page)[0] == "bee, distance 0"


def test_a_click_goes_on_from_a_result_and_back_returns(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    first = labels(page)
    target = page.get_attribute(".group .tile >> nth=3", "href")
    page.click(".group .tile >> nth=3")
    page.wait_for_function("target => location.hash === target", arg=target)
    page.wait_for_selector(".past .tile")
    assert state(page)["id"] != "ant/05.png"
    page.go_back()
    page.wait_for_function("() => location.hash.includes('ant%2F05')")
    page.wait_for_function("() => document.querySelector('.strip .name').textContent.includes('05.png')")
    assert labels(page) == first


def test_an_id_and_a_code_are_typed(visit, served):
    page = visit(served)
    page.wait_for_selector(".samples")
    page.keyboard.press("/")
    page.keyboard.type("bee/05.png")
    page.keyboard.press("Enter")
    results(page, 44)
    assert state(page)["id"] == "bee/05.png"
    page.keyboard.press("/")
    page.keyboard.type("00ff00ff")
    page.keyboard.press("Enter")
    results(page, 45)
    assert state(page)["code"] == "00ff00ff"
    assert "id" not in state(page)


def test_the_slider_hides_what_is_farther_without_a_request(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    all_distances = distances(page)
    assert all_distances == sorted(all_distances)
    middle = all_distances[len(all_distances) // 2]
    requests = []
    page.on("request", lambda request: requests.append(request.url) if "/search" in request.url else None)
    box = page.locator(".plot").bounding_box()
    at = (box["x"] + box["width"] * (middle + 0.5) / 33, box["y"] + 20)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(*at, steps=5)
    page.mouse.up()
    within = sum(each <= middle for each in all_distances)
    assert shown(page) == within
    assert state(page)["radius"] == str(middle)
    handle = page.locator(".handle")
    assert handle.get_attribute("aria-valuenow") == str(middle)
    assert handle.get_attribute("aria-valuetext").startswith(f"radius {middle}, {within} items, ")
    page.keyboard.press("ArrowLeft")
    assert state(page)["radius"] == str(middle - 1)
    page.keyboard.press("End")
    assert shown(page) == 44
    assert "radius" not in state(page)
    assert requests == []


def test_links_go_on_with_the_radius_and_the_theme_of_now(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    page.keyboard.press("r")
    page.keyboard.press("PageDown")
    page.keyboard.press("t")
    radius = state(page)["radius"]
    page.click(".tabs >> text=Compare")
    page.wait_for_selector(".column .tile")
    assert state(page) == {"room": "compare", "id": "ant/05.png", "radius": radius, "theme": "dark"}


def test_a_tie_group_says_what_is_there_and_shows_all(visit, served):
    page = visit(served + ANT + "&k=20")
    results(page, 20)
    last = page.locator(".group").last
    heading = last.locator("h3").inner_text()
    count, some = (int(re.search(pattern, heading)[1]) for pattern in [r"(\d+) items?", r"(\d+) shown"])
    assert some < count
    last.get_by_text("show all").click()
    page.wait_for_function("() => document.querySelectorAll('.group .tile').length > 20")
    assert page.locator(".group").last.locator(".tile").count() == count
    assert "shown" not in page.locator(".group").last.locator("h3").inner_text()


def test_relevance_is_said_in_words_and_signs(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    for tile in page.query_selector_all(".group .tile"):
        own = tile.get_attribute("aria-label").startswith("ant, ")
        assert tile.get_attribute("aria-label").endswith(", relevant" if own else ", not relevant")
        assert ("relevant" if own else "other") in tile.get_attribute("class").split()


def test_pointing_at_a_result_lights_the_bits_that_differ(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    assert page.locator(".bit").count() == 32
    tile = page.locator(".group .tile").last
    distance = int(re.search(r"distance (\d+)", tile.get_attribute("aria-label"))[1])
    tile.hover()
    assert page.locator(".bit.differs").count() == distance
    assert page.inner_text(".code > p") == f"Differs in {distance} of 32 bits."
    assert f"distance {distance}" in page.inner_text(".status")


def test_a_bit_shows_both_its_sides(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    page.hover(".bit[data-bit='9']")
    page.wait_for_selector(".bitcard:not([hidden])")
    text = page.inner_text(".bitcard")
    assert re.search(r"Bit 9\s+ones \d+ %\s+correlation -?[\d.]+ with bit \d+", text)
    assert page.locator(".bitcard .side").count() == 2
    page.mouse.move(900, 600)
    page.wait_for_selector(".bitcard", state="hidden")


def test_filters_by_label_value_range_and_sql(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    page.click(".choice:has-text('bee')")
    results(page, 15)
    assert all(label.startswith("bee, ") for label in labels(page))
    assert json.loads(state(page)["labels"]) == [2]
    assert page.locator(".choice:has-text('ant') .count").inner_text() == "15"
    page.fill("textarea", "width >= 30")
    page.keyboard.press("Enter")
    results(page, 5)
    page.click("text=clear")
    results(page, 44)
    assert set(state(page)) == {"id"}
    page.click("[data-facet=width] .choice >> nth=0")
    page.wait_for_function("() => location.hash.includes('values')")
    assert list(json.loads(state(page)["values"])) == ["width"]
    page.click("text=clear")
    results(page, 44)
    lowest = page.locator("input[aria-label='least bytes']")
    lowest.focus()
    least = int(lowest.get_attribute("min"))
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.includes('ranges')")
    assert json.loads(state(page)["ranges"]) == {"bytes": [least + 1, None]}


def test_a_filter_alone_lists_what_it_leaves(visit, served):
    page = visit(f"{served}#labels=%5B2%5D")
    results(page, 15)
    assert {label.split(",")[0] for label in labels(page)} == {"bee"}
    assert page.locator(".histogram").count() == 0


def test_a_result_is_left_out_and_brought_back(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    page.keyboard.press("j")
    page.keyboard.press("x")
    results(page, 43)
    page.keyboard.press("u")
    results(page, 44)


def test_an_item_finds_itself_if_asked(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    page.click("text=exclude itself")
    results(page, 45)
    assert state(page)["itself"] == "true"


def test_the_address_restores_the_state(visit, served):
    page = visit(f"{served}{ANT}&index=photos-16&k=20&radius=9&theme=dark&labels=%5B1%2C2%5D&where=width+%3E+20")
    results(page)
    assert page.input_value("select.index") == "photos-16"
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.input_value(".controls select") == "20"
    assert page.get_attribute(".handle", "aria-valuenow") == "9"
    assert page.input_value("textarea") == "width > 20"
    assert page.locator(".choice input:checked").count() == 2
    groups = page.eval_on_selector_all(
        ".group:not([hidden])", "groups => groups.map(each => Number(each.dataset.distance))"
    )
    assert max(groups, default=0) <= 9


def test_an_address_that_makes_no_sense_begins_anew(visit, served):
    page = visit(f"{served}#k=many&radius=-1&labels=%7B&ranges=3&room=nosuch&exclude=%5B1%5D")
    page.wait_for_selector(".samples")


def test_another_index_answers_the_same_picture(visit, served, photos):
    page = visit(served)
    page.wait_for_selector(".samples")
    page.set_input_files("input[type=file]", photos / "bee" / "05.png")
    results(page, 45)
    page.select_option("select.index", "photos-16")
    page.wait_for_function("() => document.querySelectorAll('.bit').length === 16")
    assert len(state(page)["code"]) == 4
    assert labels(page)[0] == "bee, distance 0"


def test_a_thousand_results_are_made_in_parts(visit, served):
    page = visit(served)
    page.wait_for_selector(".samples")
    counts = page.evaluate("""async () => {
      const { grid } = await import("./page/tiles.js");
      const items = Array.from({ length: 1000 }, (_, at) => ({ id: `i${at}`, names: [], distance: 3 }));
      const made = grid([{ distance: 3, items }], { hrefOf: () => "#" });
      document.body.append(made);
      const first = made.querySelectorAll(".tile").length;
      for (let frame = 0; frame < 20; frame++) await new Promise(requestAnimationFrame);
      const all = made.querySelectorAll(".tile").length;
      made.remove();
      return [first, all];
    }""")
    assert counts[0] < 200
    assert counts[1] == 1000


def test_a_click_with_shift_opens_the_file(visit, served):
    page = visit(served + ANT)
    results(page, 44)
    with page.expect_popup() as opened:
        page.click(".group .tile >> nth=0", modifiers=["Shift"])
    assert "/v1/items/" in opened.value.url
    assert state(page)["id"] == "ant/05.png"


def headings(page):
    return page.eval_on_selector_all(".group h3", "heads => heads.map(each => each.innerText)")


def test_in_a_large_index_the_histogram_follows_the_results(visit, served):
    whole = visit(served + ANT)
    whole.wait_for_selector(".histogram")
    expected = headings(whole)
    page, asked = visit(served), []

    def enlarged(route):
        service = route.fetch().json()
        for index in service["indexes"]:
            index["items"] = 5_000_000
        route.fulfill(json=service)

    def noted(route):
        request = route.request.post_data_json
        if request.get("id"):
            asked.append((request["k"], request.get("histogram", True)))
        route.continue_()

    page.route("**/v1/index", enlarged)
    page.route("**/v1/search", noted)
    page.goto("about:blank")
    page.goto(f"{served}{ANT}")
    page.wait_for_selector(".histogram")
    assert asked == [(50, False), (1, True)]
    assert headings(page) == expected
