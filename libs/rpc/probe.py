"""Asks a server for its health, for container health checks and people: exit status 0 when it answers SERVING.

python -m libs.rpc.probe [127.0.0.1:50051] [--service tally.petition.v1.PetitionService] [--timeout 2]
"""

import argparse
import os
import sys

import grpc
from grpc_health.v1 import health_pb2


def probe(address: str, service: str = "", timeout_seconds: float = 2.0) -> str:
    """The serving status by name (`SERVING`, `NOT_SERVING`, …), or the status code of a call that failed."""
    with grpc.insecure_channel(address) as channel:
        check: grpc.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_seconds)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code.name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m libs.rpc.probe", description="Ask a gRPC server for its health.")
    parser.add_argument(
        "address",
        nargs="?",
        default=os.environ.get("TALLY_LISTEN", "127.0.0.1:50051"),
        help="host:port; TALLY_LISTEN when left out",
    )
    parser.add_argument("--service", default="", help="the server as a whole when left out")
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS")
    options = parser.parse_args()
    status = probe(options.address.replace("0.0.0.0:", "127.0.0.1:"), options.service, options.timeout)
    print(status)
    sys.exit(status != "SERVING")


if __name__ == "__main__":
    main()
