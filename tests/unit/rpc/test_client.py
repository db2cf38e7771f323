"""Between Tally's own processes only reads are repeated."""

import json
from typing import Any

from tally.petition.v1 import petition_service_pb2 as messages
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub

from libs.data import errors
from libs.rpc.client import channel, service_config
from tests.servers import refused
from tests.unit.rpc.small_server import DESCRIPTOR, co_sign, get_petition, running


class Unsteady:
    """Fails every first call."""

    def __init__(self) -> None:
        self.calls = 0

    def _fail_first(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise errors.DatabaseUnavailable

    async def GetPetition(self, request: Any, context: Any) -> Any:
        self._fail_first()
        return messages.GetPetitionResponse()

    async def CoSign(self, request: Any, context: Any) -> Any:
        self._fail_first()
        return messages.CoSignResponse()


async def test_a_read_is_repeated() -> None:
    servicer = Unsteady()
    async with running(servicer) as server, channel(server.address, [DESCRIPTOR]) as connected:
        await PetitionServiceStub(connected).GetPetition(get_petition(), timeout=10)
    assert servicer.calls == 2


async def test_a_write_is_not() -> None:
    servicer = Unsteady()
    async with running(servicer) as server, channel(server.address, [DESCRIPTOR]) as connected:
        await refused(PetitionServiceStub(connected).CoSign(co_sign(), timeout=10))
    assert servicer.calls == 1


def test_no_method_that_takes_a_request_id_is_among_those_repeated() -> None:
    (policy,) = json.loads(json.dumps(service_config([DESCRIPTOR])))["methodConfig"]
    repeated = {name["method"] for name in policy["name"]}
    assert repeated == {"GetPetition", "ListPetitions", "GetCoSignerCount", "ListCoSigners", "ListEscalations"}
