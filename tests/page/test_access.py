"""Keys alone, screen readers, contrast, a phone, dark and light."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow
WIDE, PHONE = (1440, 900), (390, 844)
VIEWS = {
    "begin": "",
    "neighbours": "#id=ant%2F05.png&radius=12",
    "filtered": "#id=ant%2F05.png&labels=%5B1%5D&where=width+%3E+20",
    "mistakes": "#room=mistakes&cell=%5B1%2C1%5D",
    "compare": "#room=compare&id=ant%2F05.png",
    "duplicates": "#room=duplicates&within=0",
    "error": "#id=nosuch",
}
READY = (
    "() => document.querySelector('main .tile[href], .row, .duplicate, .notice') && !document.querySelector('.waiting')"
)


def ready(visit, url, size=WIDE, theme="light", **options):
    page = visit(url, size, theme, **options)
    page.wait_for_function(READY)
    page.wait_for_timeout(300)
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(visit, served, axe, view, size, theme):  # noqa: PLR0917
    page = ready(visit, served + VIEWS[view], size, theme, bypass_csp=True)
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    serious = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in {"serious", "critical"}]
    assert serious == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_dialog_of_keys_is_sound(visit, served, axe, theme):
    page = ready(visit, served, theme=theme, bypass_csp=True)
    page.keyboard.press("?")
    assert page.locator("dialog[open] kbd").count() > 15
    page.evaluate(axe)
    found = page.evaluate("axe.run(document.querySelector('dialog[open]'))")["violations"]
    assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_wider_than_the_screen(visit, served, view, size):
    page = ready(visit, served + VIEWS[view], size)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_has_a_name(visit, served, view):
    page = ready(visit, served + VIEWS[view])
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, a, input, select, textarea")]
      .filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.length || each.title))
      .map((each) => each.outerHTML)""")
    assert nameless == []


def test_the_search_goes_by_keys_alone(visit, served):
    page = ready(visit, served)
    page.keyboard.press("/")
    page.keyboard.type("ant/05.png")
    page.keyboard.press("Enter")
    page.wait_for_selector(".groups:not([aria-hidden]) .tile")
    for key in ["j", "j", "ArrowRight", "ArrowDown", "ArrowUp", "End", "Home", "k"]:
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.matches('.group .tile')"), key
    assert page.locator(".group .tile[tabindex='0']").count() == 1
    assert page.locator(".group .tile:not([tabindex])").count() == 0
    page.keyboard.press("ArrowRight")
    target = page.evaluate("document.activeElement.hash")
    page.keyboard.press("Enter")
    page.wait_for_function("target => location.hash === target", arg=target)
    page.keyboard.press("r")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.getAttribute('aria-valuenow')") == "0"
    page.keyboard.press("End")
    page.keyboard.press("b")
    page.wait_for_selector(".bitcard:not([hidden])")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('.bitcard').textContent.includes('Bit 8')")
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    page.keyboard.press("Escape")
    for key, room in [("M", "Mistakes"), ("C", "Compare"), ("D", "Duplicates"), ("N", "Neighbours")]:
        page.keyboard.press(key)
        assert page.inner_text(".tabs [aria-current]") == room


def test_tab_follows_the_reading_order_and_shows_where_it_is(visit, served):
    page = ready(visit, served + VIEWS["neighbours"])
    places, outlines = [], []
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate("""() => {
          const active = document.activeElement;
          const parts = [".top", ".side", ".tabs", "main"];
          const style = getComputedStyle(active.classList.contains("handle") ? active.firstChild : active);
          const isSeen = active.type === "range" || style.outlineStyle !== "none"; // a range's thumb has the outline
          return [parts.findIndex((part) => active.closest(part)), isSeen];
        }""")
        if found[0] < 0:
            break  # behind the last control
        places.append(found[0])
        outlines.append(found[1])
    assert places == sorted(places)
    assert set(places) == {0, 1, 2, 3}
    assert all(outlines)


def test_results_are_a_list_that_says_what_they_are(visit, served):
    page = ready(visit, served + VIEWS["neighbours"])
    lists = page.get_by_role("list", name="distance")
    assert lists.count() == page.locator(".group:not([hidden])").count()
    assert page.get_by_role("link", name="ant, distance").first.is_visible()
    assert page.get_by_role("slider", name="Radius").get_attribute("aria-valuetext").startswith("radius 12, ")
    page.wait_for_function("() => document.querySelector('[role=status]').textContent === '44 results of 44 items'")


def test_the_theme_is_the_systems_until_it_is_chosen(visit, served):
    page = ready(visit, served, theme="dark")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.keyboard.press("t")
    assert page.get_attribute("html", "data-theme") == "light"
    assert "theme=light" in page.url
    page.reload()
    page.wait_for_function(READY)
    assert page.get_attribute("html", "data-theme") == "light"


def test_on_a_phone_tabs_are_at_the_bottom_and_filters_in_a_sheet(visit, served):
    page = ready(visit, served + VIEWS["neighbours"], PHONE)
    tabs = page.locator(".tabs").bounding_box()
    assert tabs["y"] + tabs["height"] == PHONE[1]
    assert page.locator(".strip .frame").bounding_box()["width"] == 96
    assert page.eval_on_selector(".grid", "grid => getComputedStyle(grid).gridTemplateColumns.split(' ').length") == 3
    assert page.locator(".bits").is_hidden()
    page.click("[aria-label=Filter]")
    page.click("dialog .choice:has-text('bee')")
    page.wait_for_function("() => location.hash.includes('labels')")
    page.click("dialog[open] >> text=Close")
    page.wait_for_function(
        "() => document.querySelectorAll('.group .tile').length === 15 || location.hash.includes('labels')"
    )
    assert page.locator("dialog[open]").count() == 0
    page.click(".tabs >> text=Mistakes")
    page.wait_for_selector(".row")


def test_touch_targets_on_a_phone_are_large_enough(visit, served):
    page = ready(visit, served + VIEWS["neighbours"], PHONE)
    small = page.evaluate("""() => [...document.querySelectorAll(".top button, .tabs a, .group .tile")].map((each) =>
      each.getBoundingClientRect()).filter((box) => box.width && (box.width < 36 || box.height < 36)).length""")
    assert small == 0


def test_nothing_moves_for_those_who_ask_for_that(visit, served):
    page = ready(visit, served + VIEWS["neighbours"], reduced_motion="reduce")
    moving = page.evaluate("document.getAnimations().length")
    assert moving == 0
