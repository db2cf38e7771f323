"""A service that only says that it is healthy: `python -m tests.unit.devstack.fake_service`."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(os.environ["TALLY_LISTEN"])
    server.start()

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop(0)
        print("stopped on request", flush=True)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print(f"serving with {os.environ['TALLY_DATABASE_URL']} and {os.environ['TALLY_REPLICA_URLS']}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
