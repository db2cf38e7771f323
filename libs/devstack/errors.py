"""What the local stack can fail with: always a sentence for the person at the terminal."""

from pathlib import Path


class DevstackError(Exception):
    """The local stack cannot do what was asked; the message says why and what to do about it."""


def log_tail(log: Path, lines: int = 20) -> str:
    """The end of a log file, indented, or a note that there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            tail = file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return f"  (no log at {log})"
    return "\n".join(f"  {line}" for line in tail) or f"  ({log} is empty)"
