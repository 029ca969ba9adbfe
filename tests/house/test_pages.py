"""The pages of docs: what they show is what comes out."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [page.name for page in sorted(DOCS.glob("*.md")) if ">>> " in page.read_text()]


def failures(page: Path) -> tuple[int, int]:
    """Run what a page shows, without the fences of its blocks; count failures and lines."""
    text = re.sub(r"^```.*$", "", page.read_text(), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    found = doctest.DocTestRunner(verbose=False).run(test)
    return found.failed, found.attempted


def test_there_are_pages_to_run() -> None:
    assert len(PAGES) >= 2


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_shows_is_what_comes_out(name: str) -> None:
    failed, tried = failures(DOCS / name)
    assert tried > 5
    assert failed == 0


def test_a_wrong_number_on_a_page_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n```\n")
    assert failures(page) == (1, 1)
    assert "Got:\n    2" in capsys.readouterr().out
