"""Where the files of the embedded Postgres live: below the state folder, if the account that runs it can get there."""

import hashlib
import os
from pathlib import Path

from libs.devstack.account import Account
from libs.devstack.errors import DevstackError

_ELSEWHERE = Path("/var/tmp")  # noqa: S108 - survives a reboot, and every account can get there


def make_state_folder(state: Path) -> Path:
    """The state folder, made if need be so that other accounts can pass through it (not list it)."""
    if not state.exists():
        state.parent.mkdir(parents=True, exist_ok=True)
        state.mkdir(exist_ok=True)
        state.chmod(0o711)
    return state.resolve()


def postgres_home(state: Path, account: Account) -> Path:
    """The folder for clusters and, if need be, a copy of the programs; made if it is not there.

    Below the state folder where the account can get there; else (root's checkout below a 0700 home, for instance) a
    folder of our own in /var/tmp, named after the state folder. Once a cluster stands in one of them, that one stays.
    """
    state = make_state_folder(state)
    inside, outside = state / "postgres", fallback_home(state)
    if (inside / "primary").exists() and not account.can_enter(inside):
        raise DevstackError(
            f"{inside} holds the database, but uid {account.uid}, which must run Postgres, cannot get there: "
            f"give it passage through every folder above it, or set TALLY_STATE_DIR"
        )
    if outside.exists() or not account.can_enter(state):
        return _own_folder(outside)
    return _own_folder(inside)


def fallback_home(state: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(state.resolve())).hexdigest()
    return _ELSEWHERE / f"tally-{os.geteuid()}-{digest[:16]}"


def _own_folder(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)
    except FileExistsError:
        # /var/tmp is open to all: a folder somebody else prepared there is not ours to trust.
        status = folder.lstat()
        if folder.is_symlink() or not folder.is_dir() or status.st_uid != os.geteuid():
            raise DevstackError(f"{folder} exists and does not belong to uid {os.geteuid()}: remove it") from None
    return folder
