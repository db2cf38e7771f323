"""Whether the ports that the stack needs are free, and who has those that are not."""

import contextlib
import socket
from collections.abc import Mapping

import psutil

from libs.devstack.errors import DevstackError


def taken(ports: Mapping[int, str], host: str = "127.0.0.1") -> dict[int, str]:
    """Those of the ports that somebody listens on, with what the stack wants each for."""
    return {port: purpose for port, purpose in ports.items() if not _free(host, port)}


def require_free(ports: Mapping[int, str]) -> None:
    """Raises with a sentence a port when one is taken."""
    problems = [f"port {port} ({purpose}) is taken{_by_whom(port)}" for port, purpose in taken(ports).items()]
    if problems:
        raise DevstackError(
            "\n".join(problems) + "\nFree it, or set TALLY_PORT_BASE to move the whole stack (default 50051)."
        )


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _by_whom(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return ""
