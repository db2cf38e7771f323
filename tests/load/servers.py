"""Server processes of a benchmark: started, found by the address they log, and stopped."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from libs.devstack.errors import log_tail
from libs.devstack.settings import SOURCE_ROOT

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0


class Server:
    """One server process that logs to a file, as it does in the local stack."""

    def __init__(self, name: str, module: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=SOURCE_ROOT,
                env={**os.environ, **environment, "TALLY_LISTEN": "127.0.0.1:0", "TALLY_METRICS_LISTEN": ""},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.address = self._wait_until_serving()

    @property
    def pid(self) -> int:
        return self._process.pid

    def resident_bytes(self) -> int:
        return int(psutil.Process(self.pid).memory_info().rss)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_serving(self) -> str:
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up:
            for line in self._log.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if entry.get("event") == "serving":
                        return str(entry["address"])
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not start; its log ends:\n{log_tail(self._log)}")


@contextlib.contextmanager
def server(name: str, module: list[str], logs: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    started = Server(name, module, logs / f"{name}.log", environment)
    try:
        yield started
    finally:
        started.stop()
