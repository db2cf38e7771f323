"""All opinions of a conversation, page by page."""

from typing import Any

from tally.voting.v1 import voting_pb2 as resources
from tally.voting.v1 import voting_service_pb2 as messages

from libs.cli.scenario.acting import DEADLINE


async def all_opinions(stub: Any, conversation_id: str) -> list[resources.Opinion]:
    """Visible ones first, then those that moderation set aside."""
    found: list[resources.Opinion] = []
    for moderated in (False, True):
        request = messages.ListOpinionsRequest(conversation_id=conversation_id, moderated=moderated, page_size=1_000)
        while True:
            page = await stub.ListOpinions(request, timeout=DEADLINE)
            found += page.opinions
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    return found
