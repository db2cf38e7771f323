"""The ids that things from elsewhere have here (design of imports): UUIDv5, so that importing again means the same rows."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar
from uuid import NAMESPACE_URL, UUID

from libs.data.ids import id_of_name, parse_id

Row = TypeVar("Row")

# Names whose ids are remembered while a stream lasts.
_REMEMBERED = 100_000
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}").fullmatch


def conversation_ids(external_id: str) -> list[UUID]:
    """The ids a conversation of this external id can have, the likelier first; a new one gets the first."""
    return [id_of_name(NAMESPACE_URL, external_id), *_written(external_id)]


class Names:
    """The external ids of one conversation's opinions and people.

    What was never imported has its UUID for an external id when it is exported. So an external id that is a UUID means,
    where nothing was imported under it, the row that has this UUID.
    """

    def __init__(self, conversation_id: UUID) -> None:
        self._conversation_id = conversation_id
        self.opinion: Callable[[str], UUID] = lru_cache(_REMEMBERED)(self._opinion)
        self.person: Callable[[str], UUID] = lru_cache(_REMEMBERED)(self._person)

    def _opinion(self, external_id: str) -> UUID:
        return id_of_name(self._conversation_id, f"opinion:{external_id}")

    def _person(self, external_id: str) -> UUID:
        return id_of_name(self._conversation_id, f"participant:{external_id}")


def candidates(external_ids: Mapping[str, object], to_id: Callable[[str], UUID]) -> list[UUID]:
    """The ids of all rows that these external ids can mean."""
    ids = list(map(to_id, external_ids))
    for external_id in external_ids:
        ids += _written(external_id)
    return ids


def meant(external_id: str, to_id: Callable[[str], UUID], rows: Mapping[UUID, Row]) -> Row | None:
    """The row that an external id means, of those there are."""
    row = rows.get(to_id(external_id))
    if row is None:
        for written in _written(external_id):
            row = rows.get(written)
    return row


def _written(external_id: str) -> list[UUID]:
    """The UUID that an external id is, if it is one."""
    return [parse_id(external_id)] if len(external_id) == 36 and _UUID(external_id) else []
