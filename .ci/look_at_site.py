"""Look at the built site in a folder as readers do: size, names, links, and each page in Chromium.

    PYTHONPATH=.:tests python .ci/look_at_site.py site

Every page is opened from its file, on a desktop and on a phone: nothing may be asked for beside the
folder, nothing may be said on the console, nothing scrolls sideways, and axe-core finds nothing
that keeps somebody out, in the light and in the dark. The search finds what is looked for.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs" / "extensions"), str(ROOT / "tests")]

import public  # noqa: E402
from tools.browser import CHROMIUM, DRIVER, chromium, looked_at  # noqa: E402

MOST_BYTES = 15_000_000


def too_large(site: Path) -> Iterator[str]:
    """Say how large the site is, if it is too large; what only builds need is not counted."""
    size = sum(path.stat().st_size for path in published(site))
    print(f"{size / 1e6:.1f} MB in {len(list(published(site)))} files")
    if size > MOST_BYTES:
        yield f"the site takes {size:,} bytes, more than {MOST_BYTES:,}"


def published(site: Path) -> list[Path]:
    """List the files of the site."""
    files = [path for path in site.rglob("*") if path.is_file()]
    return [path for path in files if not path.relative_to(site).parts[0].startswith(".")]


def without_entry(site: Path) -> Iterator[str]:
    """Name the public names that the inventory of the built site does not have."""
    head, _, packed = (site / "objects.inv").read_bytes().partition(b"using zlib.\n")
    assert head.startswith(b"# Sphinx inventory version 2"), head
    known = set(re.findall(r"^(\S+) py:\w+ ", zlib.decompress(packed).decode(), re.M))
    for name in public.entries():
        if name not in known:
            yield f"{name} has no entry in the reference"


def lost_links(site: Path) -> Iterator[str]:
    """Name the links that lead to no file, or to no place in it, and addresses that are none."""
    pages = {page.resolve(): page.read_text() for page in published(site) if page.suffix == ".html"}
    places = {page: set(re.findall(r'\sid="([^"]+)"', text)) for page, text in pages.items()}
    for page, text in pages.items():
        for link in set(re.findall(r'<a\s[^>]*?href="([^"]*)"', text)):
            parts = urlsplit(link.replace("&amp;", "&"))
            if parts.scheme or parts.netloc:
                if parts.scheme not in ("https", "http", "mailto") or " " in link:
                    yield f"{page.name}: {link} is no address"
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file():
                yield f"{page.name}: {link} leads to no file"
            elif (
                parts.fragment
                and target in places
                and unquote(parts.fragment) not in (places[target] | {""})
            ):
                yield f"{page.name}: {link} leads to no place"


def seen(driver: Any, page: Path, site: Path) -> Iterator[str]:
    """Open a page, and say what is wrong with it."""
    driver.get_log("browser")
    driver.get_log("performance")
    driver.get(page.as_uri())
    name = page.relative_to(site)
    wide, room = driver.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    if wide > room:
        yield f"{name} scrolls sideways: {wide} pixels on {room}"
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.loadingFailed":
            yield f"{name}: a request failed, {message['params'].get('errorText')}"
        elif message["method"] == "Network.requestWillBeSent":
            address = message["params"]["request"]["url"]
            if not address.startswith((site.as_uri(), "data:")):
                yield f"{name} asks for {address}"
    for entry in driver.get_log("browser"):
        yield f"{name} says: {entry['message']}"


def search_fails(driver: Any, site: Path, word: str) -> Iterator[str]:
    """Look for a word, and say so if no result names it."""
    driver.get(f"{(site / 'search.html').as_uri()}?q={word}")
    driver.implicitly_wait(20)
    found = driver.find_elements("css selector", "#search-results li a")
    if not any(word in link.text for link in found):
        yield f"the search does not find {word}"


AXE = """
const [done] = arguments;
// What is folded is looked at too; a page within a page has its own tests, and no axe to answer.
document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
const how = {resultTypes: ["violations"], iframes: false};
axe.run(document, how).then((found) => done(found.violations));
"""


def kept_out(driver: Any) -> list[str]:
    """Ask axe-core what keeps somebody out of the page in the browser: its rules, and where."""
    axe = importlib.resources.files("axe_core_python") / "axe.min.js"
    driver.execute_script(axe.read_text(encoding="utf-8"))
    found = driver.execute_async_script(AXE)
    return [f"{v['id']} ({v['impact']}): {node['html']}" for v in found for node in v["nodes"]]


def all_seen(site: Path, pages: list[Path]) -> Iterator[str]:
    """Open all pages, wide and light, and in a second browser narrow and dark."""
    with ThreadPoolExecutor(2) as side_by_side:
        for found in side_by_side.map(lambda phone: looked_through(site, pages, phone), (0, 1)):
            yield from found


def looked_through(site: Path, pages: list[Path], phone: int) -> list[str]:
    """Say what is wrong with pages as they are seen, and what axe-core finds in them.

    Of the reference, which is generated, one page of each folder stands for all, on a phone and to
    axe-core.
    """
    by_size = sorted(pages, key=lambda page: -page.stat().st_size)
    kinds = set({page.parent: page for page in by_size}.values())
    wrong = []
    with chromium() as driver, looked_at(driver, phone=bool(phone), dark=bool(phone)):
        for page in pages:
            by_hand = page in kinds or "reference" not in page.parts
            if by_hand or not phone:
                wrong += seen(driver, page, site)
            if by_hand:
                wrong += [f"{page.relative_to(site)}, {what}" for what in kept_out(driver)]
        wrong += [] if phone else search_fails(driver, site, "Conv2d")
    return wrong


def main(site: Path, *only: str) -> int:
    """Print what is wrong, and return how much that is."""
    found = [*too_large(site), *without_entry(site), *lost_links(site)]
    pages = [page for page in published(site) if page.suffix == ".html"]
    some = [page for page in sorted(pages) if not only or str(page.relative_to(site)) in only]
    if not (CHROMIUM and DRIVER):
        print("chromium and chromedriver are not there: no page was opened")
        some = []
    found += all_seen(site, some) if some else []
    print("\n".join(found) or f"{len(some)} pages are as they should be")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), *sys.argv[2:]) > 0)
