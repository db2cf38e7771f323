"""The image holds what the services import and nothing to build with, and runs as nobody in particular.

No container engine is needed here: the Dockerfile's instructions are read, and what they copy is compared with what the
services import.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

import grimp
import pytest
import yaml

from tests.deploy.manifests import K8S, ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass
class Stage:
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> Iterator[str]:
        return (argument for instruction, argument in self.instructions if instruction == name)

    def only(self, name: str) -> str:
        (argument,) = self.all(name)
        return argument

    def environment(self) -> dict[str, str]:
        pairs = (pair.partition("=") for argument in self.all("ENV") for pair in shlex.split(argument))
        return {name: value for name, _, value in pairs}


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            found.append(Stage(argument))
        elif found and instruction:
            found[-1].instructions.append((instruction, argument.strip()))
    return found


@pytest.fixture(scope="module")
def final(stages: list[Stage]) -> Stage:
    return stages[-1]


def copied(stages: list[Stage]) -> set[str]:
    """Sources copied from the repository, as `libs/data`."""
    sources = (argument.split()[:-1] for stage in stages for argument in stage.all("COPY") if "--from" not in argument)
    return {source for group in sources for source in group}


def test_packages_are_installed_by_hash_and_never_compiled(stages: list[Stage]) -> None:
    (install,) = (run for run in stages[0].all("RUN") if " install " in run)
    assert {"--require-hashes", "--no-cache-dir"} <= set(install.split())
    assert "--only-binary :all:" in install
    assert "requirements.txt" in install


def test_the_image_cannot_install_anything(stages: list[Stage], final: Stage) -> None:
    assert len(stages) == 2
    assert any("--without-pip" in run for run in stages[0].all("RUN"))
    (removal,) = final.all("RUN")
    assert removal.split()[:2] == ["pip", "uninstall"]
    assert {"pip", "setuptools", "wheel"} <= set(removal.split())


def test_the_image_runs_as_a_number_that_is_not_root(final: Stage) -> None:
    (user,) = final.all("USER")
    assert re.fullmatch(r"[1-9]\d{4,}:[1-9]\d{4,}", user)
    later = [instruction for instruction, _ in final.instructions[final.instructions.index(("USER", user)) + 1 :]]
    assert "RUN" not in later
    assert "COPY" not in later


def test_the_image_writes_nothing_and_asks_its_own_server_for_its_health(final: Stage) -> None:
    assert final.environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    assert final.only("HEALTHCHECK").split("CMD", 1)[1].strip() == '["python", "-m", "libs.rpc.probe"]'
    assert not list(final.all("VOLUME"))


def test_what_runs_is_the_argument_and_receives_signals_itself(final: Stage) -> None:
    assert json.loads(final.only("ENTRYPOINT")) == ["python", "-m"]
    assert json.loads(final.only("CMD"))[0].startswith("services.")
    assert final.only("STOPSIGNAL") == "SIGTERM"


def test_the_image_trusts_no_network_until_it_is_told_to(final: Stage) -> None:
    assert "TALLY_AUTHENTICATION" not in final.environment()
    assert "TALLY_DATABASE_URL" not in final.environment()


def test_the_image_listens_where_the_manifests_look(final: Stage) -> None:
    config = yaml.safe_load((K8S / "base" / "config.yaml").read_text())["data"]
    environment = final.environment()
    for name in ("TALLY_LISTEN", "TALLY_METRICS_LISTEN"):
        assert environment[name] == config[name]
    ports = {environment[name].rpartition(":")[2] for name in ("TALLY_LISTEN", "TALLY_METRICS_LISTEN")}
    assert set(final.only("EXPOSE").split()) == ports


def test_everything_a_service_imports_is_in_the_image(stages: list[Stage]) -> None:
    graph = grimp.build_graph("libs", "services", cache_dir=None)
    starts = {name for name in graph.modules if re.fullmatch(r"services\.\w+\.__main__", name)}
    starts |= {"libs.data.migrate", "libs.rpc.probe"}
    needed = starts | {module for start in starts for module in graph.find_upstream_modules(start)}
    needed |= {name for name in graph.modules if name.startswith("libs.data.migrations.")}
    present = {path.removesuffix("/__init__.py").replace("/", ".") for path in copied(stages)}
    packages = {".".join(name.split(".")[:2]) if name.startswith("libs.") else name.split(".")[0] for name in needed}
    assert packages <= present
    assert "libs.devstack" not in present


def test_the_build_sees_only_what_it_copies(stages: list[Stage]) -> None:
    lines = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    assert lines[0] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert allowed == {source.split("/")[0] for source in copied(stages)}
