"""The pages of the site: their blocks run, each page in one session, as its build runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import pages
from tools.profiles import THOROUGH

DOCS = pages.ROOT / "docs"
PAGES = [page for page in sorted(DOCS.glob("**/*.md")) if pages.cells(page.read_text())]
# All of them take a minute of a processor: every day those that touch most of the library are run.
DAILY = {"4-backprop", "compose-your-own", "coming-from-pytorch", "compile", "reliability"}


def test_there_are_pages_to_run() -> None:
    assert len(PAGES) >= 30
    assert {page.stem for page in PAGES} >= DAILY


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not THOROUGH and page.stem not in DAILY:
        pytest.skip("run in the profile ci, and where the site is built")
    lacking = pages.lacking(page.read_text())
    if lacking:
        pytest.skip(f"needs {', '.join(lacking)}")
    monkeypatch.chdir(tmp_path)
    pages.run(page)


def cell(code: str) -> str:
    return f"```{{code-cell}} python\n{code}\n```\n\n"


@pytest.mark.parametrize(
    "wrong",
    [
        "assert 1 + 1 == 3",
        ":tags: [remove-cell]\nassert 1 + 1 == 3",
        "import warnings\nwarnings.warn('old', DeprecationWarning)",
        "nobody",
    ],
)
def test_a_block_that_fails_is_seen(wrong: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(cell("x = 1") + cell(wrong))
    with pytest.raises((AssertionError, NameError, DeprecationWarning)):
        pages.run(page)


def test_a_block_is_known_by_its_page_and_sees_those_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "---\nneeds: [autonn, no_such_package]\n---\n"
        + cell("def f(x):\n    return x")
        + cell("import inspect\ninspect.getsource(f), f.__code__.co_filename")
    )
    pages.run(page)
    assert capsys.readouterr().out == "('def f(x):\\n    return x\\n', '<page.md, line 5>')\n"
    assert pages.lacking(page.read_text()) == ["no_such_package"]
