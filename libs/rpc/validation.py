"""Checks messages against the rules their protos declare, and says in words what is wrong."""

from collections.abc import Iterable

from google.protobuf.message import Message
from protovalidate import FieldPathPb, Validator

from libs.data.errors import FieldViolation
from libs.rpc.acceptance import accepts
from libs.rpc.patterns import PATTERNS

_validator = Validator()


def violations(message: Message, prefix: str = "") -> list[FieldViolation]:
    """Every bad field of a message, in the order of its rules; empty when it is good.

    `prefix` goes before each path, such as `requests[3].` for an item of a batch. A field that is too short is not also
    reported as not matching its pattern.
    """
    if accepts(message):
        return []
    found = _validator.collect_violations(message)
    if not found:
        return []
    protos = [violation.proto for violation in found]
    named = [
        (prefix + path(proto.field), proto.rule_id, proto.message, violation.rule_value)
        for proto, violation in zip(protos, found, strict=True)
    ]
    too_short = {field for field, rule, _, _ in named if rule == "string.min_len"}
    return [
        FieldViolation(field=field, description=_describe(rule, text, value), rule=rule)
        for field, rule, text, value in named
        if not (rule == "string.pattern" and field in too_short)
    ]


def path(field: FieldPathPb | None) -> str:
    """A field's path as people write it: `petition.title`, `escalation_thresholds[2]`."""
    if field is None:
        return ""
    return ".".join(_elements(field))


def _elements(field: FieldPathPb) -> Iterable[str]:
    for element in field.elements:
        subscript = element.subscript
        yield element.field_name if subscript is None else f"{element.field_name}[{subscript.value}]"


def _describe(rule: str, text: str, value: object) -> str:
    if rule == "string.pattern":
        pattern = str(value)
        meaning = PATTERNS.get(pattern)
        return f"{meaning} (pattern {pattern})" if meaning else f"must match the pattern {pattern}"
    return text
