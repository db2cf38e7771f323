"""Every package is pinned by hash, and nothing says where a machine should fetch it from."""

import re
from pathlib import Path

import pytest

from tests.contract.sources import ROOT

TEXT = {".py", ".toml", ".txt", ".in", ".md", ".yaml", ".yml", ".json", ".sh", ".proto", ".cfg", ".ini", ""}
FOLDERS = (".ci", "deploy", "docs", "libs", "protos", "services", "tests", "tools")
A_REGISTRY = re.compile(
    r"""pypi\.(org|python) | pythonhosted\.org | (index-url|find-links)[ =]["']?(https?:|/) | trusted-host
        | https?://\S+\.(whl|tar\.gz|zip)\b | https?://[^\s/]*(artifactory|nexus|devpi)|https?://\S+/simple\b
        | GOPROXY *= | goproxy\.""",
    re.IGNORECASE | re.VERBOSE,
)


def text_files() -> list[Path]:
    found = [path for path in ROOT.iterdir() if path.is_file()]
    found += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in found if path.suffix in TEXT and "__pycache__" not in path.parts]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt"])
def test_every_requirement_is_one_version_with_hashes(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().replace("\\\n", " "))
    packages = [entry for entry in entries if entry.strip() and not entry.startswith("#")]
    assert len(packages) > 20
    loose = [entry[:60] for entry in packages if not re.match(r"[a-z0-9.-]+(\[.+\])?==\S+.* --hash=sha256:", entry)]
    assert not loose


def test_what_a_service_needs_is_pinned_to_the_same_version_for_developers() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9.-]+==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") <= pins("requirements-dev.txt")


def test_no_file_names_a_package_registry() -> None:
    this = Path(__file__)
    named = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in text_files()
        if path != this and (found := A_REGISTRY.search(path.read_text(errors="replace")))
    ]
    assert not named
