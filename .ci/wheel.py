"""See that what is packed carries the digits and the licences of what is in it, and nothing else.

The arguments are a wheel and a source distribution, as ``python -m build`` makes them.
"""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def see_notes(text: bytes) -> str:
    """See that the metadata name the licences; return these."""
    metadata = Parser().parsestr(text.decode())
    assert metadata["License-Expression"] == project["license"], metadata["License-Expression"]
    assert metadata.get_all("License-File") == project["license-files"]
    return f"{metadata['Name']} {metadata['Version']}, {metadata['License-Expression']}"


def see_wheel(path: Path) -> str:
    """See that a wheel has the package, its data and its licences; return what it is."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        rooms, notes = sorted({name.split("/")[0] for name in names})
        assert (rooms, notes.endswith(".dist-info")) == ("autonn", True), names
        assert {"autonn/py.typed", "autonn/digits.npz"} <= set(names), names
        for name in project["license-files"]:
            assert wheel.read(f"{notes}/licenses/{name}") == (ROOT / name).read_bytes(), name
        return f"{len(names)} files, {see_notes(wheel.read(f'{notes}/METADATA'))}"


def see_source(path: Path) -> str:
    """See that a source distribution has what the repository has, and nothing that is made."""
    with tarfile.open(path) as source:
        top = path.name.removesuffix(".tar.gz")
        names = {name.removeprefix(f"{top}/") for name in source.getnames()}
        notes = source.extractfile(f"{top}/PKG-INFO")
        assert notes is not None
        said = see_notes(notes.read())
    assert {*project["license-files"], "README.md", "docs/conf.py", "tests/conftest.py"} <= names
    if (ROOT / ".git").exists():
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
        assert names == {*listed.stdout.decode().split(), "PKG-INFO"}, names ^ set(
            listed.stdout.decode().split()
        )
    return f"{len(names)} files, {said}"


for given in map(Path, sys.argv[1:]):
    print(f"{given.name}: {(see_wheel if given.suffix == '.whl' else see_source)(given)}")
