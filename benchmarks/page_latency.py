"""The page in a real browser: time to the first paint, and from a query to the painted grid.

    python benchmarks/page_latency.py INDEX [--queries 100] [--image FILE]

Serves the index, opens the page in Chromium, and asks for items at random, one after the other, as a click does. A
query ends when the frame with its results has been painted. Prints medians and 95th percentiles in milliseconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from playwright.sync_api import sync_playwright

import vtsearch
from vtsearch.serve.client import Client

CHROMIUM = os.environ.get("VTSEARCH_CHROMIUM", "/usr/bin/chromium")
ASK = """id => new Promise(resolve => {
  const results = document.querySelector(".results");
  const observer = new MutationObserver(() => {
    if (!results.querySelector(".tile")) return;
    observer.disconnect();
    const painted = new MessageChannel(); // its message comes behind the frame that is being drawn
    painted.port1.onmessage = () => resolve(performance.now() - start);
    requestAnimationFrame(() => painted.port2.postMessage(null));
  });
  observer.observe(results, {childList: true});
  const start = performance.now();
  location.hash = "#id=" + encodeURIComponent(id);
})"""
PAINTED = """() => new Promise(resolve => new PerformanceObserver((list, observer) => {
  observer.disconnect();
  resolve(list.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null);
}).observe({type: "paint", buffered: true}))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--image", help="a picture to ask with, through the API")
    parser.add_argument("--model", help="model folder for the picture")
    args = parser.parse_args()
    index = vtsearch.Index.open(args.index)
    rng = np.random.default_rng(0)
    positions = rng.choice(len(index), args.queries + 5, replace=False).tolist()
    ids = [index.ids_at([position])[position] for position in positions]
    command = [sys.executable, "-m", "vtsearch", "serve", args.index, "--port", "0"]
    command += ["--model", args.model] if args.model else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().split()[0]
            print(f"{len(index):,} items of {index.bits} bits, {len(index.columns())} columns of metadata")
            _wait_ready(url)
            _measure_page(url, ids)
            _measure_api(url, ids[:50])
            if args.image:
                _measure_image(url, Path(args.image))
        finally:
            server.terminate()


def _wait_ready(url: str) -> None:
    for _ in range(600):
        try:
            urlopen(f"{url}readyz").close()
        except OSError:  # a model is being loaded
            time.sleep(0.1)
        else:
            return


def _measure_page(url: str, ids: list[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        paints, grids = [], []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(url)
            paints.append(page.evaluate(PAINTED))
            page.wait_for_selector(".results img, .results .tile, .begin img, .tile")
            grids.append(page.evaluate("performance.now()"))
            page.close()
        _print("first paint", paints)
        _print("navigation to items to begin with", grids)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}#id={ids[0]}")
        page.wait_for_selector(".results .tile")
        times = []
        for name in ids[1:]:
            page.wait_for_timeout(300)  # what the query before has begun is over
            times.append(page.evaluate(ASK, name))
        _print("query by id to painted grid, k = 50", times[4:])
        browser.close()


def _measure_api(url: str, ids: list[str]) -> None:
    client, walls, ranking = Client(url), [], []
    for name in ids:
        start = time.perf_counter()
        answer = client.search(id=name)
        walls.append(1_000 * (time.perf_counter() - start))
        ranking.append(answer["timings"]["ranking"])
    _print("API by id, k = 50, with a connection each", walls)
    _print("  of which ranking and histograms", ranking)


def _measure_image(url: str, image: Path) -> None:
    client, parts = Client(url), []
    for _ in range(25):
        start = time.perf_counter()
        timings = client.search(image=image)["timings"]
        wall = 1_000 * (time.perf_counter() - start)
        parts.append([timings[name] for name in ("decode", "model", "ranking")] + [wall - timings["total"], wall])
    for name, values in zip(
        ("decode", "model", "ranking", "transfer", "in all"), zip(*parts[5:], strict=True), strict=True
    ):
        _print(f"by image ({image.stat().st_size:,} bytes): {name}", list(values))


def _print(what: str, values: list[float]) -> None:
    print(f"{what:<48} median {np.median(values):7.1f} ms   95 % {np.percentile(values, 95):7.1f} ms", flush=True)


if __name__ == "__main__":
    main()
