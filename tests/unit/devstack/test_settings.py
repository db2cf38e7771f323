"""Where the stack listens."""

import pytest
from pydantic import ValidationError

from libs.devstack.settings import SERVICES, StackSettings


def test_the_default_ports_are_the_documented_ones() -> None:
    settings = StackSettings(port_base=50051, database_url="")
    assert {service.name: settings.address(service) for service in SERVICES} == {
        "petition": "127.0.0.1:50051",
        "voting": "127.0.0.1:50052",
        "claims": "127.0.0.1:50053",
        "reputation": "127.0.0.1:50054",
        "aggregator": "127.0.0.1:50055",
        "operations": "127.0.0.1:50056",
    }
    assert settings.metrics_address(SERVICES[1]) == "127.0.0.1:50152"
    assert settings.postgres_port == 50141
    assert settings.replica_port(2) == 50143


@pytest.mark.parametrize("replicas", [0, 1, 9])
def test_no_port_is_wanted_twice(replicas: int) -> None:
    settings = StackSettings(replicas=replicas, database_url="")
    assert len(settings.ports()) == 2 * len(SERVICES) + 1 + replicas


def test_a_database_of_the_users_own_needs_no_port_for_postgres() -> None:
    settings = StackSettings(database_url="postgresql://me@db.example/tally", replicas=1)
    assert not settings.embedded
    assert len(settings.ports()) == 2 * len(SERVICES)


def test_a_port_base_whose_highest_port_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        StackSettings(port_base=65500)


def test_another_process_reads_the_same_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = StackSettings(port_base=41000, replicas=1, drain_seconds=3.5, database_url="")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert StackSettings() == settings.model_copy(update={"state_dir": settings.state_dir.absolute()})
