"""What those find who carry on: pages that name what is there, and one source for each version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tools import pages
from tools.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
SITE = WORKFLOW.with_name("site.yml")
SETTINGS = [WORKFLOW, ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff", SITE]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_that_a_page_names_exist(page: Path) -> None:
    assert pages.missing(page) == set()


@pytest.mark.parametrize(
    "wrong", ["[it](docs/none.md)", "[it](tests/none.py#there)", "see `autonn/none.py`", ".ci/walk"]
)
def test_what_is_not_there_is_missed(wrong: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Of `autonn/engine/`, [this](page.md) and <https://a.b/c>.\n\n{wrong}\n")
    assert len(pages.missing(page)) == 1


def test_a_wish_has_its_page_and_a_bug_has_its_own() -> None:
    assert {page.name for page in PAGES} >= {
        "CONTRIBUTING.md", "SECURITY.md", "bug.md", "question.md", "pull_request_template.md",
    }  # fmt: skip
    for page in ROOT.glob(".github/ISSUE_TEMPLATE/*.md"):
        _, head, _ = page.read_text().split("---\n", 2)
        assert [line.partition(":")[0] for line in head.splitlines()] == ["name", "about", "labels"]


def sessions() -> list[str]:
    source = (ROOT / "noxfile.py").read_text()
    compile(source, "noxfile.py", "exec")
    return re.findall(r"^@nox\.session\ndef (\w+)", source, re.M)


def test_each_session_that_is_named_is_there() -> None:
    assert set(sessions()) == {"tests", "lint", "types", "docs", "lowest", "faults", "bench"}
    for page in PAGES:
        assert set(re.findall(r"nox -s (\w+)", page.read_text())) <= set(sessions()), page


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.name)
def test_settings_are_indented_by_spaces_in_twos(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert "\t" not in line
        assert (len(line) - len(line.lstrip())) % 2 == 0, line


def test_the_hosted_tests_begin_with_the_oldest_python_and_run_what_is_there() -> None:
    text = WORKFLOW.read_text()
    (pythons,) = re.findall(r"^ +python: \[(.*)\]$", text, re.M)
    assert PROJECT["requires-python"] == f">={pythons.split(',')[0].strip(chr(34))}"
    for extra in re.findall(r"\.\[(\w+)\]", text):
        assert extra in PROJECT["optional-dependencies"]
    for script in re.findall(r"run: bash (\S+)", text):
        assert (ROOT / script).is_file()
    for entry in re.findall(r"entry: python (\S+\.py)", (ROOT / SETTINGS[1]).read_text()):
        assert (ROOT / entry).is_file()


# ---- the walks


def walks() -> list[list[tuple[str, list[str]]]]:
    """Read the walks: for each step the file to open, and what to look for in it."""
    page = (ROOT / "docs" / "explanations" / "architecture.md").read_text()
    found = []
    for part in re.split(r"^## ", page, flags=re.M):
        rows = re.findall(r"^\| \d+ \| `([\w/.]+)` \| (.*?) \|", part, re.M)
        found.append([(path, re.findall(r"`(\w+)`", names)) for path, names in rows])
    return [walk for walk in found if walk]


def test_a_walk_never_comes_back_to_a_file_and_finds_there_what_it_names() -> None:
    assert len(walks()) == 3
    for walk in walks():
        files = [path for path, _ in walk]
        assert len(set(files)) == len(files) >= 5
        for path, names in walk:
            assert names, path
            assert absent(pages.place(path).read_text(), names) == [], path


def absent(source: str, names: list[str]) -> list[str]:
    """List the names that a source neither defines as functions and classes nor assigns."""
    defined = rf"^\s*(?:(?:async )?def |class )({'|'.join(names)})\b|^({'|'.join(names)}) = "
    found = {name for pair in re.findall(defined, source, re.M) for name in pair}
    return [name for name in names if name not in found]


def test_what_a_walk_would_not_find_is_missed() -> None:
    source = "class A:\n    def f(self): ...\n\nexp = 1\n# g = 2\nh(1)\n"
    assert absent(source, ["A", "f", "exp", "g", "h", "B"]) == ["g", "h", "B"]
