"""Where the embedded Postgres puts its files, and what it never does to other people's folders."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from libs.devstack.account import Account
from libs.devstack.errors import DevstackError
from libs.devstack.installation import Installation
from libs.devstack.placement import fallback_home, postgres_home
from libs.devstack.postgres import Cluster, free_port, remove_home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that only we can enter, as a home folder often is."""
    with tempfile.TemporaryDirectory(prefix="tally-closed-") as folder:
        Path(folder).chmod(0o700)
        yield Path(folder)
        remove_home(Path(folder) / "checkout" / ".tally")


def test_a_folder_that_the_account_can_reach_holds_the_data() -> None:
    with tempfile.TemporaryDirectory(prefix="tally-open-") as folder:
        Path(folder).chmod(0o755)
        state = Path(folder) / ".tally"
        assert postgres_home(state, Account.for_postgres()) == state.resolve() / "postgres"
        assert not fallback_home(state).exists()


@as_root
def test_below_a_closed_folder_data_goes_elsewhere_and_the_folder_stays_as_it_was(closed_folder: Path) -> None:
    state = closed_folder / "checkout" / ".tally"
    cluster = Cluster.in_state_folder(state, port=free_port())
    try:
        assert cluster.home == fallback_home(state)
        cluster.start()
        assert cluster.answers()
    finally:
        cluster.destroy()
    assert stat.S_IMODE(closed_folder.stat().st_mode) == 0o700
    assert closed_folder.stat().st_uid == os.geteuid()


@as_root
def test_programs_that_the_account_cannot_reach_are_copied(closed_folder: Path) -> None:
    hidden = Installation(closed_folder / "site")
    hidden.site.mkdir()
    copied_from = Installation.find()
    hidden = copied_from._copied_to(hidden.site / "packages")
    state = closed_folder / "checkout" / ".tally"
    account = Account.for_postgres()
    home = postgres_home(state, account)
    cluster = Cluster(home, port=free_port(), log=closed_folder / "postgres.log", account=account, installation=hidden)
    try:
        assert cluster.installation.site.parent == home
        cluster.start()
        with psycopg.connect(cluster.url()) as connection:
            row = connection.execute("SELECT count(*) FROM pg_timezone_names WHERE name = 'Europe/Berlin'").fetchone()
        assert row == (1,)
        assert "psql" in cluster.run_program("psql", "--version")
    finally:
        cluster.destroy()


def test_once_data_stands_elsewhere_it_stays_there() -> None:
    with tempfile.TemporaryDirectory(prefix="tally-open-") as folder:
        Path(folder).chmod(0o755)
        state = Path(folder) / ".tally"
        fallback_home(state).mkdir(mode=0o711)
        try:
            assert postgres_home(state, Account.for_postgres()) == fallback_home(state)
        finally:
            remove_home(state)


@as_root
def test_data_that_cannot_be_reached_any_more_is_an_error_not_a_new_empty_database(closed_folder: Path) -> None:
    state = closed_folder / ".tally"
    (state / "postgres" / "primary").mkdir(parents=True)
    with pytest.raises(DevstackError, match="holds the database"):
        postgres_home(state, Account.for_postgres())


@as_root
def test_a_folder_that_somebody_else_prepared_in_the_shared_place_is_refused(closed_folder: Path) -> None:
    state = closed_folder / "checkout" / ".tally"
    elsewhere = fallback_home(state)
    elsewhere.mkdir()
    try:
        os.chown(elsewhere, 65534, 65534)
        with pytest.raises(DevstackError, match="does not belong to"):
            postgres_home(state, Account.for_postgres())
    finally:
        elsewhere.rmdir()


def test_a_folder_that_is_no_data_folder_is_never_overwritten() -> None:
    with tempfile.TemporaryDirectory(prefix="tally-open-") as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster.in_state_folder(Path(folder) / ".tally", port=free_port())
        cluster.data.mkdir()
        (cluster.data / "precious").write_text("mine")
        with pytest.raises(DevstackError, match="no Postgres data folder"):
            cluster.initialise()
        assert (cluster.data / "precious").read_text() == "mine"
