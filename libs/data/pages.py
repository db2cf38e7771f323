"""Keyset pages: a page token is the sort key of the last row, so a page costs the same however deep it is."""

import base64
import binascii
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import orjson

from libs.data.errors import FieldViolation, InvalidInput

DEFAULT_PAGE_SIZE = 50


def page_size(requested: int) -> int:
    return requested or DEFAULT_PAGE_SIZE


def encode_page_token(listing: str, *key: Any) -> str:
    """An opaque token naming the listing, so that it cannot be used for another, and the last row's sort key.

    Args:
        key: numbers, texts, UUIDs and times in UTC.
    """
    return base64.urlsafe_b64encode(orjson.dumps([listing, *key], default=str)).decode().rstrip("=")


def decode_page_token(token: str, listing: str, *types: Callable[[Any], Any]) -> list[Any] | None:
    """The sort key in a token of this listing; None for the first page.

    Args:
        types: of the key's parts: `int` for what a Postgres integer holds, `str` for what its text does, else what makes its
            value from the token's JSON.

    Raises:
        InvalidInput: not a token of this listing.
    """
    if not token:
        return None
    try:
        name, *key = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if name != listing:
            raise ValueError(name)
        return [_part(make, part) for make, part in zip(types, key, strict=True)]
    except (ValueError, TypeError, AttributeError, binascii.Error):
        violation = FieldViolation("page_token", "is not a token of this listing")
        raise InvalidInput([violation], reason="INVALID_PAGE_TOKEN") from None


def _part(make: Callable[[Any], Any], part: Any) -> Any:
    if make is int and not (type(part) is int and -(2**31) <= part < 2**31):
        raise ValueError(part)
    if make is str and not (isinstance(part, str) and "\0" not in part):
        raise ValueError(part)
    return make(part)


def utc_time(text: str) -> datetime:
    """The type of a part that is a time."""
    time = datetime.fromisoformat(text)
    if time.utcoffset() != timedelta(0):  # others may be out of range in UTC
        raise ValueError(text)
    return time
