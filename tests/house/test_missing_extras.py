"""An extra that is not installed: nothing asks for it but its own room, which says what to do."""

from __future__ import annotations

import subprocess
import sys


def printed(code: str) -> str:
    """Return what a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_without_dask_workers_say_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['distributed'] = sys.modules['dask'] = None\n"
        "import autonn\n"
        "model = autonn.Layer(1, 1)\n"
        "try:\n    autonn.fit(model, [[1.0]], [[1.0]], 'mse', 'lbfgs', workers='tcp://10.0.0.1:86')\n"
        "except ImportError as error:\n    print(error)"
    )
    assert printed(code) == (
        "workers of Dask need its package distributed, which is not there; "
        "write pip install 'autonn[dask]'"
    )


def test_without_scikit_learn_its_room_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import autonn\n"
        "assert 'sklearn' not in dir(autonn)\n"
        "try:\n    import autonn.sklearn\n"
        "except ImportError as error:\n    print(error)"
    )
    assert printed(code) == (
        "autonn.sklearn stands on scikit-learn, 1.6 or newer, which is not there; "
        "write pip install 'autonn[sklearn]'"
    )
