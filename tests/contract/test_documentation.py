"""What the documents point at exists."""

import json
import re
from pathlib import Path

import pytest

from libs.jobs.settings import JobSettings
from libs.rpc.settings import ServerSettings
from services.claims.settings import ClaimsSettings
from services.reputation.settings import ReputationSettings
from services.voting.settings import VotingSettings
from tests.contract.sources import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_links_lead_to_files_of_the_repository(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)[^)]*\)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_make_targets_exist(document: Path) -> None:
    named = re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)", document.read_text(), re.MULTILINE)
    missing = {target for words in named for target in words.split() if target not in TARGETS}
    assert not missing


def test_every_make_target_is_listed_by_make_help() -> None:
    rules = re.findall(r"^([a-z-]+):(?!=)(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    internal = {"proto-image", "grpcurl-if-possible"}
    assert {name for name, rest in rules if " ## " not in rest} == internal


@pytest.mark.parametrize(
    ("service", "settings"),
    [("claims", ClaimsSettings), ("voting", VotingSettings), ("reputation", ReputationSettings)],
)
def test_the_settings_of_a_service_are_documented_with_their_defaults(
    service: str, settings: type[ServerSettings]
) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(rf"^\| `TALLY_({service.upper()}_\w+)` \| ([\d,.]+|true|false) \|", text, re.MULTILINE)
    documented = {name.lower(): json.loads(default.replace(",", "")) for name, default in rows}
    declared = {name: field.default for name, field in settings.model_fields.items() if name.startswith(f"{service}_")}
    assert documented == declared


def test_the_settings_of_jobs_are_documented_with_their_defaults() -> None:
    rows = re.findall(r"^\| `TALLY_JOBS_(\w+)` \| ([\w.]+) \|", (ROOT / "docs" / "jobs.md").read_text(), re.MULTILINE)
    documented = {name.lower(): default for name, default in rows}
    declared = {name: field.default for name, field in JobSettings.model_fields.items()}
    assert documented == {
        name: f"{value:g}" if isinstance(value, float) else str(value).lower() for name, value in declared.items()
    }
