"""Where log lines go: a file descriptor, with a buffer that spares the hot path a system call a line."""

import os
import threading

_FULL_BYTES = 64 * 1024


class Output:
    """A binary file for `structlog.BytesLogger` and a text stream for `logging`.

    Unbuffered until `buffer(True)`. Buffered, lines wait until `drain()`, which whoever buffers calls every tenth of a
    second or so, or until 64 KiB are there. A reader that went away is not an error: its lines are lost.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._size = 0
        self._buffered = False
        self._lock = threading.Lock()

    def write(self, line: bytes | str) -> int:
        data = line.encode() if isinstance(line, str) else line
        self._lines.append(data)
        self._size += len(data)
        if not self._buffered or self._size > _FULL_BYTES:
            self.drain()
        return len(line)

    def flush(self) -> None:
        """Loggers flush after each line; the buffer outlives that on purpose."""

    def buffer(self, buffered: bool) -> None:
        self._buffered = buffered
        self.drain()

    def drain(self) -> None:
        """Writes out what waits."""
        with self._lock:
            lines, self._lines, self._size = self._lines, [], 0
            data = memoryview(b"".join(lines))
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except (BrokenPipeError, BlockingIOError):
                return
