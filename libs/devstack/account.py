"""The operating-system account that Postgres runs as: it refuses to run as root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from libs.devstack.errors import DevstackError


class SpawnAs(TypedDict, total=False):
    """Keyword arguments for `subprocess.Popen` and asyncio's equivalent."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group; `switch` says that it is another one than ours, so children must change to it."""

    uid: int
    gid: int
    switch: bool

    @classmethod
    def for_postgres(cls) -> "Account":
        """Ourselves, or for root an unprivileged account (`nobody` where there is one)."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), switch=False)
        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            others = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
            if not others:
                raise DevstackError("Postgres refuses to run as root, and /etc/passwd names no other user") from None
            entry = others[0]
        return cls(entry.pw_uid, entry.pw_gid, switch=True)

    def spawn_as(self) -> SpawnAs:
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_use(self, *paths: Path) -> bool:
        """Whether this account can read and enter (or run) every path; asked of the kernel, not guessed from modes."""
        if not self.switch:
            return all(os.access(path, os.R_OK | os.X_OK) for path in paths)
        probe = 'for path; do test -r "$path" && test -x "$path" || exit 1; done'
        command = ["/bin/sh", "-c", probe, "probe", *map(str, paths)]
        return subprocess.run(command, cwd="/", check=False, **self.spawn_as()).returncode == 0

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can reach things inside the folder; reading its list is not needed."""
        if not self.switch:
            return os.access(folder, os.X_OK)
        command = ["/bin/sh", "-c", 'test -x "$1"', "probe", str(folder)]
        return subprocess.run(command, cwd="/", check=False, **self.spawn_as()).returncode == 0

    def make_folder(self, folder: Path) -> None:
        """Makes a new folder that belongs to this account alone."""
        folder.mkdir(mode=0o700)
        self.give(folder)

    def give(self, path: Path) -> None:
        """Hands over a file or folder that we made."""
        if self.switch:
            os.chown(path, self.uid, self.gid)
