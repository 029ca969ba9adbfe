"""See that the wheel given as the argument carries the digits and the licences of what is in it."""

import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parents[1]
project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = wheel.namelist()
    rooms, notes = sorted({name.split("/")[0] for name in names})
    assert (rooms, notes.endswith(".dist-info")) == ("autonn", True), names
    assert "autonn/py.typed" in names, names
    assert any(name.endswith("/digits.npz") for name in names), names
    metadata = Parser().parsestr(wheel.read(f"{notes}/METADATA").decode())
    assert metadata["License-Expression"] == project["license"], metadata["License-Expression"]
    for name in project["license-files"]:
        assert wheel.read(f"{notes}/licenses/{name}") == (ROOT / name).read_bytes(), name
print(f"{Path(sys.argv[1]).name}: {len(names)} files, under {metadata['License-Expression']}")
