"""How children of the local stack are started: they die with their parent, and never see its terminal."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(with_signal: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that has the kernel send the signal when the parent *thread* ends, however it ends.

    Only Linux can do this; elsewhere leftovers are swept at the next start. It must run after the change of user, which
    forgets the setting; `subprocess` calls its `preexec_fn` last, so it does.
    """
    if _libc is None:
        return None
    prctl = _libc.prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
