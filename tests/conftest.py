"""Fixtures every test can ask for."""

import os
import re

import pytest

# gRPC's fork handlers abort a child that is forked while another thread is in gRPC. Tests start programs that way, and a
# child that goes on to run another program needs no handlers. gRPC reads this when it is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

pytest_plugins = ["tests.postgres"]

A_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")


def pytest_make_parametrize_id(config: pytest.Config, val: object) -> str | None:
    """Names a case after its text without any random id in it: all of xdist's workers must find the same names."""
    return A_UUID.sub("uuid", val) if isinstance(val, str) and A_UUID.search(val) else None
