"""Print the lowest versions that pyproject.toml allows, one requirement a line, for pip."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
    print(requirement.replace(">=", "=="))
print("pyparsing<3.3")  # later ones warn about the way in which Matplotlib 3.9 uses them
