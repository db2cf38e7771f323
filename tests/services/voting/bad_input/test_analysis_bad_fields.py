"""Each bad field of each RPC of AnalysisService is named and nothing is stored (G9)."""

import pytest

from tests.bad_fields import NOT_A_UUID, are_refused_naming, call, with_field
from tests.servers import refused
from tests.services.voting.calls import ANALYSES, AnalysisCalls, World
from tests.services.voting.conversations import Conversations
from tests.stored import Connection

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUID_FIELDS = {
    "RequestAnalysis": ["conversation_id", "request_id"],
    "GetAnalysis": ["conversation_id"],
    "GetParticipantPosition": ["conversation_id", "user_id"],
}


@pytest.mark.parametrize("rpc", ANALYSES)
async def test_what_is_no_uuid_of_an_analysis_is_named(
    voting: Conversations, db: Connection, world: World, rpc: str
) -> None:
    """G9: one by one, and all at once; in upper case it is one."""
    analyses = AnalysisCalls(voting.analyses)
    for field in UUID_FIELDS[rpc]:
        bad = [with_field(ANALYSES[rpc](world), field, text) for text in NOT_A_UUID.values()]
        await are_refused_naming(analyses, db, rpc, bad, field)
    answer = await refused(call(analyses, rpc, type(ANALYSES[rpc](world))()))
    assert answer.fields == UUID_FIELDS[rpc]
    upper = with_field(ANALYSES[rpc](world), "conversation_id", world.conversation_id.upper())
    if rpc == "RequestAnalysis":
        assert (await call(analyses, rpc, upper)).commit_token
    else:
        assert (await refused(call(analyses, rpc, upper))).reason == "ANALYSIS_NOT_FOUND"
