"""Food posts and exchanges as their tests talk of them: short words for the calls they make most."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # in the stubs only
    from tally.claims.v1.exchange_service_pb2_grpc import ExchangeServiceAsyncStub


class Food:
    """The stub, and builders of what tests need first."""

    def __init__(self, stub: "ExchangeServiceAsyncStub") -> None:
        self.stub = stub
