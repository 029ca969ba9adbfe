"""What is run before a change lands, each in an environment of its own; `nox -l` lists it.

What stands behind `--` goes to the command: `nox -s tests -- tests/nn -n0`. Another Python is
chosen by `nox -s tests --force-python 3.13`.
"""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests at the newest versions."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-q", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests at the lowest versions that pyproject.toml allows."""
    bounds = session.run("python", ".ci/lower_bounds.py", silent=True)
    requirements = Path(session.create_tmp(), "lowest.txt")
    requirements.write_text(str(bounds))
    session.install("-r", str(requirements), "-e", ".")
    profile = {"HYPOTHESIS_PROFILE": "brief"}
    session.run("python", "-m", "pytest", "-q", *session.posargs, env=profile)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated pages anew, build the site into the folder site, and look at it."""
    session.install("-e", ".[test,extras,docs]")
    session.run("python", "docs/gradient_contract.py")
    session.run("python", "docs/first_page.py")
    session.run("bash", ".ci/site", session.bin, "site", external=True)


@nox.session
def faults(session: nox.Session) -> None:
    """Plant faults, and count those that the tests notice: twenty minutes for everything."""
    session.install("-e", ".[test]")
    session.run("python", "tests/tools/faults.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure a cost and its gradient against backprop by hand."""
    session.install("-e", ".")
    session.run("python", "benchmarks/backprop.py", *session.posargs)
