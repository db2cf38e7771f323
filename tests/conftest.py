"""Fixtures every test can ask for."""

import os

# gRPC's fork handlers abort a child that is forked while another thread is in gRPC. Tests start programs that way, and a
# child that goes on to run another program needs no handlers. gRPC reads this when it is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

pytest_plugins = ["tests.postgres"]
