"""A service as a process of its own, as it runs in production, on a port of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import psutil

from libs.devstack.postgres import free_port
from tests.postgres import session_folder
from tests.unit.devstack.waiting import wait_until

# Ends with the test that started it, however that ends (Linux only). Not a `preexec_fn`: forking a process in which gRPC's
# threads run can hang.
_LAUNCH = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", sys.argv[1]])
"""


class ServiceProcess:
    """Started, killed and started again at one address.

    Args:
        name: of the service, such as `petition`.
        settings: environment variables without their prefix, such as `lock_timeout="0.3"`.
    """

    def __init__(self, name: str, database_url: str, log: Path, **settings: str) -> None:
        self._module = f"services.{name}"
        self.address = f"127.0.0.1:{free_port()}"
        self.log = log
        self._environment = {
            "TALLY_DATABASE_URL": database_url,
            "TALLY_LISTEN": self.address,
            "TALLY_METRICS_LISTEN": "",
            "TALLY_LOG_CALL_RATIO": "0",
            # Compiled once a session, as in the image: half of what a start costs.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(session_folder() / "bytecode"),
            **{f"TALLY_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._launches = 0

    def start(self, *, wait: bool = True) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
        self._launches = len(self.logged("serving"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCH, self._module],
                env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_until_serving()

    def wait_until_serving(self) -> None:
        wait_until(lambda: self.serving or not self.running)
        assert self.running, self.log.read_text()[-4000:]

    @property
    def serving(self) -> bool:
        """Whether it has come so far since it was started last."""
        return self.running and len(self.logged("serving")) > self._launches

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Leaves no process behind."""
        if self.running:
            self.kill()

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ports(self) -> list[int]:
        """Its own ends of its connections."""
        assert self._process is not None
        return [c.laddr.port for c in psutil.Process(self._process.pid).net_connections("tcp") if c.raddr]

    def wait(self, seconds: float) -> int:
        """Its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    @property
    def rss(self) -> int:
        """Bytes of memory it has now."""
        assert self._process is not None
        resident: int = psutil.Process(self._process.pid).memory_info().rss
        return resident

    def logged(self, event: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        if not self.log.exists():
            return []
        needle = f'"{event}"'.encode()
        lines = [line for line in self.log.read_bytes().splitlines() if needle in line and line.startswith(b"{")]
        return [entry for line in lines if (entry := orjson.loads(line)).get("event") == event]

    def logs_more(self, event: str, lines: int = 1) -> Callable[[], bool]:
        """Asks whether there are so many more log lines of the event than by now."""
        before = len(self.logged(event))
        return lambda: len(self.logged(event)) >= before + lines


@contextmanager
def service_process(name: str, database_url: str, log: Path, **settings: str) -> Iterator[ServiceProcess]:
    """A service that serves; killed at the end if it still runs."""
    service = ServiceProcess(name, database_url, log, **settings)
    try:
        service.start()
        yield service
    finally:
        service.close()


petition_service = partial(service_process, "petition")
claims_service = partial(service_process, "claims")
