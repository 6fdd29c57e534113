"""The page's files, and one file made of them."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode

import pytest

from vtsearch.page import asset, modules, names, one_file
from vtsearch.page.bundle import COMMENT, TOP_LEVEL, source

SCRIPTS = [name for name in names() if name.endswith(".js")]
ENTRIES = ["app.js", "report.js"]
HOSTILE = {"name": "</script><script>alert(1)</script>", "other": "<!--", "line": "\u2028"}


def inline(text, kind):
    return re.search(rf"<{kind}>(.*?)</{kind.split()[0]}>", text, re.DOTALL)[1]


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_a_page_loads_is_under_100_kb(entry):
    assert sum(len(asset(name)) for name in modules(entry)) < 100_000


def test_every_module_belongs_to_an_entry():
    assert {name for entry in ENTRIES for name in modules(entry)} == set(SCRIPTS)


def test_modules_stand_behind_those_that_they_import():
    order = modules("app.js")
    assert order[-1] == "app.js"
    assert order.index("dom.js") < order.index("tiles.js") < order.index("neighbours.js")


def test_top_level_names_are_unique_across_modules():
    owners = {}
    for name in SCRIPTS:
        for word in TOP_LEVEL.findall(re.sub(r"^export ", "", source(name), flags=re.MULTILINE)):
            owners.setdefault(word, []).append(name)
    assert {word: where for word, where in owners.items() if len(where) > 1} == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_string_runs_over_lines(name):
    lines = [line for line in COMMENT.sub("", source(name)).splitlines() if not line.strip().startswith("//")]
    assert [line for line in lines if re.sub(r"/[^/ ]*`[^/ ]*/", "", line).count("`") % 2] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_makes_elements_of_text(name):
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", source(name))


@pytest.mark.parametrize("name", names())
def test_nothing_is_loaded_from_elsewhere(name):
    addresses = re.findall(r"https?://[^\s\"')]+", source(name))
    assert {each for each in addresses if not each.startswith("http://www.w3.org/")} == set()


@pytest.mark.parametrize("entry", ENTRIES)
def test_equal_arguments_give_equal_bytes(entry):
    made = [one_file("A & B", entry, HOSTILE, ["style.css"]) for _ in range(2)]
    assert made[0] == made[1]


def test_one_file_holds_its_data_whatever_it_says():
    text = one_file("<b>", "app.js", HOSTILE, ["style.css"])
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(data) == HOSTILE
    assert "<" not in data
    assert "<title>&lt;b&gt;</title>" in text


def test_one_file_allows_its_own_script_and_style_alone():
    text = one_file("x", "app.js", {}, ["style.css"])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for part in [inline(text, "style"), re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL)[1]]:
        assert b64encode(hashlib.sha256(part.encode()).digest()).decode() in policy
    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)


def test_unknown_files_are_refused():
    for name in ["nosuch.js", "../bundle.py", "__init__.py"]:
        with pytest.raises(KeyError):
            asset(name)


def test_data_that_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        one_file("x", "app.js", {"value": float("nan")}, [])
