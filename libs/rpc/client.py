"""Channels from one of Tally's processes to another.

Other teams use `tally_client`, which also repeats writes safely; a service that calls another repeats reads only, and
leaves writes to whoever holds the `request_id`.
"""

import json
from collections.abc import Iterable
from typing import Any

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

_READS = ("Get", "List", "BatchGet")


def channel(address: str, services: Iterable[ServiceDescriptor]) -> grpc.aio.Channel:
    """A plain-text channel that reconnects quickly and repeats the services' reads when they answer UNAVAILABLE.

    Deadlines are the caller's to give, with each call.
    """
    return grpc.aio.insecure_channel(
        address,
        options=(
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.service_config", json.dumps(service_config(services))),
        ),
    )


def service_config(services: Iterable[ServiceDescriptor]) -> dict[str, Any]:
    """The gRPC service config that repeats reads: at most 4 attempts, only on UNAVAILABLE, a twentieth of a second on."""
    return {
        "methodConfig": [
            {
                "name": [
                    {"service": service.full_name, "method": method.name}
                    for service in services
                    for method in service.methods
                    if method.name.startswith(_READS) and "request_id" not in method.input_type.fields_by_name
                ],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
