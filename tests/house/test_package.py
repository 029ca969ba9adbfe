"""What is packed says truly what it is: one version, and the licences of all that it carries."""

from __future__ import annotations

import re
import tomllib

import pytest
from tools.pages import ROOT, place

import autonn

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]

# By what a text is known as that of a licence, or as naming it with its address.
SIGNS = {
    "MIT": "Permission is hereby granted, free of charge",
    "CC-BY-SA-3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
}


def unlicensed(expression: str, texts: list[str]) -> list[str]:
    """List the licences of an expression that no text names, and of the texts that it does not."""
    named = {name for name, sign in SIGNS.items() if any(sign in text for text in texts)}
    return sorted(named.symmetric_difference(re.split(" AND ", expression)))


def test_the_licences_are_those_of_the_files_that_go_with_the_package() -> None:
    texts = [(ROOT / name).read_text() for name in PROJECT["license-files"]]
    assert unlicensed(PROJECT["license"], texts) == []
    assert not [c for c in PROJECT["classifiers"] if c.startswith("License ::")]


@pytest.mark.parametrize(
    ("expression", "kept"), [("MIT", 2), ("MIT AND CC-BY-SA-3.0", 1), ("MIT AND GPL-3.0-only", 2)]
)
def test_a_licence_that_is_left_out_is_missed(expression: str, kept: int) -> None:
    texts = [(ROOT / name).read_text() for name in PROJECT["license-files"]]
    assert unlicensed(expression, texts[:kept])


def test_what_the_wheel_takes_from_elsewhere_has_a_licence_beside_it() -> None:
    for source in SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]:
        assert (ROOT / source).is_file()
        assert f"{source.rpartition('/')[0]}/README.md" in PROJECT["license-files"]


def test_the_version_stands_once() -> None:
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    source = place(SETTINGS["tool"]["hatch"]["version"]["path"]).read_text()
    assert re.findall(r'^__version__ = "(.*)"$', source, re.M) == [autonn.__version__]
    assert f"\n## {autonn.__version__}" in (ROOT / "CHANGELOG.md").read_text()
