"""The report in a real browser, from a file and without network: no error, numbers by one click, pages of A4."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from saved_runs import clustered, save_grid, save_images, save_index, save_run

from vtsearch.data.pictures import image_loader
from vtsearch.index import Index
from vtsearch.reports import write_html_report

pytestmark = pytest.mark.slow

HOSTILE = [
    '<img src=x onerror="window.hit=1">',
    "</script><script>window.hit=1</script>",
    "100 % & $x_1 \\end{tabular} #~^|",
]


@pytest.fixture
def visit(chromium):
    """A function that opens a file without network; anything on the console fails the test at its end."""
    contexts, said = [], []

    def open_file(path, **options):
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else said.append(request.url),
        )
        page.goto(path.as_uri())
        page.wait_for_selector(".report h1")
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert said == []


def saved(page, button):
    """The name and text of the file that a button saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, download.value.path().read_text()


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory):
    place = tmp_path_factory.mktemp("grid")
    save_images(place / "images", 150)
    runs = save_grid(place / "runs", images=place / "images")
    return write_html_report(
        runs, place / "grid.html", images=image_loader, titles={"csq": "CSQ", "hashnet": "HashNet"}
    )


def test_a_run_is_shown_with_its_pictures(visit, tmp_path):
    save_images(tmp_path / "images", 150)
    run = save_run(tmp_path / "run", images=tmp_path / "images", noise=1.6)
    page = visit(write_html_report([run], tmp_path / "run.html", images=image_loader, pictures=3))
    assert page.locator("h2").all_text_contents() == [
        *("Results", "Curves", "Codes", "Training images in the database", "Classes", "Queries"),
        *("Training", "Time", "To repeat this"),
    ]
    tiles = page.locator(".answered .tile")
    assert tiles.count() == 6 * 11
    loaded = page.evaluate("[...document.images].every((each) => each.complete && each.naturalWidth > 0)")
    assert loaded
    assert page.locator(".tile.other").first.get_attribute("aria-label").endswith("not relevant")
    assert page.locator("noscript").count() == 1


def test_a_grid_prints_on_a4_with_everything_open(visit, grid_file):
    page = visit(grid_file)
    assert page.locator(".folded > .content").first.is_hidden()
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = {tuple(map(float, found)) for found in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)}
    assert [(round(width), round(height)) for width, height in boxes] == [(595, 842)]
    page.emulate_media(media="print")
    assert page.locator(".folded > .content").first.is_visible()
    assert page.locator(".export").first.is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_folded_table_opens_by_a_click(visit, grid_file):
    page = visit(grid_file)
    button = page.get_by_role("button", name="Every number", exact=True)
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    assert page.get_by_role("region", name="Every number").is_visible()


def test_a_table_is_saved_as_latex_markdown_and_csv_by_one_click(visit, grid_file):
    page = visit(grid_file, permissions=["clipboard-read", "clipboard-write"])
    shown = page.get_by_role("region", name="mAP@all").locator("tbody tr").first
    first = shown.locator("td strong").first.text_content()
    name, latex = saved(page, "LaTeX: mAP@all")
    assert name == "map-all.tex"
    assert latex.count(r"\toprule") == latex.count(r"\midrule") - 1 == latex.count(r"\bottomrule") == 1
    assert rf"CSQ & \textbf{{{first.replace('±', '$' + chr(92) + 'pm$')}}} & " in latex
    page.locator(".said").first.filter(has_text="saved and copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == latex
    name, markdown = saved(page, "Markdown: mAP@all")
    assert name == "map-all.md"
    assert markdown.splitlines()[:2] == ["| method | 16 bits | 32 bits |", "| --- | ---: | ---: |"]
    assert f"| CSQ | **{first}** |" in markdown
    name, numbers = saved(page, "CSV: mAP@all")
    assert next(row for row in csv.reader(io.StringIO(numbers)) if row[0] == "CSQ")[1] == first


def test_the_numbers_of_a_figure_are_saved_by_one_click(visit, grid_file):
    page = visit(grid_file)
    name, text = saved(page, "numbers: mAP@all by bits")
    assert name == "map-all-by-bits.csv"
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["series"], row["bits"]) for row in rows] == [(m, b) for m in ("CSQ", "HashNet") for b in ("16", "32")]
    shown = (
        page.get_by_role("region", name="mAP@all").locator("tbody tr").first.locator("td strong").first.text_content()
    )
    mean, deviation = shown.split(" ± ")
    assert f"{100 * float(rows[0]['mAP@all']):.2f}" == mean
    assert f"{100 * float(rows[0]['deviation']):.2f}" == deviation
    assert saved(page, "numbers: Confusion of classes")[1].startswith(",cat,dog,hen\n")


def test_values_are_read_under_the_pointer(visit, grid_file):
    page = visit(grid_file)
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    legend = page.locator(".legend").first
    assert re.fullmatch(
        r"CSQ[\d.]+HashNet[\d.]+bits 16", legend.inner_text().replace("\n", "").replace("HashNet ", "HashNet")
    )
    page.mouse.move(0, 0)
    assert legend.inner_text().split() == ["CSQ", "HashNet"]


def test_an_index_without_labels_is_shown(visit, tmp_path):
    names = save_images(tmp_path / "images", 40)
    index = save_index(tmp_path / "index", clustered(16, 1.0, 0, 40)[0], 16, ids=names, images=tmp_path / "images")
    page = visit(write_html_report([index], tmp_path / "index.html", images=image_loader))
    assert page.locator("h2").all_text_contents() == ["Codes", "Items", "To repeat this"]
    assert page.locator(".tile.relevant, .tile.other").count() == 0
    assert page.locator(".heat rect").count() > 16
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440


def test_names_that_are_markup_stay_text_and_commands_of_latex_are_none(visit, tmp_path):
    codes, _ = clustered(16, 1.0, 0, items=12)
    ids = [*HOSTILE, *(str(number) for number in range(9))]
    with Index.create(tmp_path / "index", 16, classes=HOSTILE) as index:
        index.add(codes, ids, np.arange(12) % 3)
    page = visit(write_html_report([tmp_path / "index"], tmp_path / "index.html", title=HOSTILE[0]))
    assert page.evaluate("window.hit") is None
    assert page.locator("h1").text_content() == HOSTILE[0]
    assert page.locator("img").count() == 0
    assert page.get_by_text(HOSTILE[1], exact=True).count() > 0
    _, latex = saved(page, "LaTeX: mAP by class")
    assert r"100 \% \& \$x\_1 \textbackslash{}end\{tabular\} \#\textasciitilde{}\textasciicircum{}\textbar{}" in latex
    _, markdown = saved(page, "Markdown: mAP by class")
    assert r"\<img src=x" in markdown
    assert r"\\end{tabular} #~^\|" in markdown


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(chromium, grid_file, theme):
    places = [os.environ.get("VTSEARCH_AXE"), "build/node/node_modules/axe-core/axe.min.js"]
    file = next((place for place in places if place and Path(place).is_file()), None)
    if file is None:
        pytest.skip("axe-core is not installed ($VTSEARCH_AXE may say where axe.min.js is)")
    context = chromium.new_context(bypass_csp=True, color_scheme=theme)
    page = context.new_page()
    page.goto(grid_file.as_uri())
    page.wait_for_selector(".report h1")
    page.add_script_tag(path=file)
    found = page.evaluate("axe.run()")["violations"]
    context.close()
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_a_phone_is_not_scrolled_sideways(visit, grid_file):
    page = visit(grid_file)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
