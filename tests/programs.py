"""Programs that are no Python packages: looked for in `.build/bin`, where `make <name>` puts them, then on PATH."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def program(name: str) -> str:
    """The program's path. Skips the test where it is not installed; fails it where `REQUIRE_<NAME>` says that it must be."""
    found = shutil.which(name, path=f"{ROOT / '.build' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is not None:
        return found
    message = f"{name} is not installed: make {name}"
    if os.environ.get(f"REQUIRE_{name.upper()}"):
        pytest.fail(message)
    pytest.skip(message)
