"""Says quickly that a message is good, where that is certain.

protovalidate is the judge: it alone refuses, in its own words. But it takes 2.5 µs to find nothing wrong with a small
message, and 16 µs between two calls, where its code is not in the processor's caches: more than all else in the chain.
So for messages whose rules are of the few kinds below, a check made of the same annotations goes first. What it does not
accept, and any message with another kind of rule, goes to protovalidate. The only mistake it could make is to accept
what protovalidate refuses; a test compares the two on made-up messages of every type.
"""

import re
from collections.abc import Callable
from functools import reduce
from operator import attrgetter
from typing import Any, cast

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.rpc.patterns import LINES, ONE_LINE

Accepts = Callable[[Any], bool]
_Test = Callable[[Any], object]

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}").fullmatch
# Patterns that mean the same to every engine: anchored, of ASCII classes, `\.` and plain characters, each with a count.
_PORTABLE = re.compile(r"\^((?:(?:\[[A-Za-z0-9_-]+\]|\\\.|[A-Za-z0-9_-])(?:[*+?]|\{\d+(?:,\d+)?\})?)+)\$").fullmatch

_known: dict[type[Message], Accepts] = {}


class _Unsure(Exception):
    """A rule this module does not know."""


def accepts(message: Message) -> bool:
    """True where the message certainly breaks no rule; False says nothing."""
    kind = type(message)
    accept = _known.get(kind)
    if accept is None:
        accept = _known[kind] = acceptance(cast(Descriptor, message.DESCRIPTOR)) or unsure
    return accept(message)


def unsure(message: Message) -> bool:
    """Accepts nothing."""
    return False


def acceptance(descriptor: Descriptor) -> Accepts | None:
    """The check of a message's type; None where it has a rule that is not known here."""
    try:
        return _of_message(descriptor, ())
    except _Unsure:
        return None


def _of_message(descriptor: Descriptor, within: tuple[Descriptor, ...]) -> Accepts:
    recursive = descriptor in within
    ruled = descriptor.GetOptions().HasExtension(validate_pb2.message)
    ruled_choice = any(choice.GetOptions().HasExtension(validate_pb2.oneof) for choice in descriptor.oneofs)
    if recursive or ruled or ruled_choice:
        raise _Unsure
    values: list[tuple[Callable[[Any], Any], _Test]] = []
    absent: list[str] = []
    nested: list[tuple[str, Callable[[Any], Any], Accepts, bool]] = []
    for field in descriptor.fields:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        if rules.ignore == validate_pb2.IGNORE_ALWAYS:
            continue
        if field.message_type is not None:
            try:
                if field.is_repeated:
                    raise _Unsure
                nested.append(
                    (field.name, attrgetter(field.name), *_of_submessage(field, rules, (*within, descriptor)))
                )
            except _Unsure:
                if field.is_repeated or rules.required:
                    raise
                absent.append(field.name)
        elif field.has_presence and rules.ByteSize():
            absent.append(field.name)
        elif rules.ByteSize():
            values.append((attrgetter(field.name), _of_value(field, rules)))
    return _check(tuple(values), tuple(absent), tuple(nested))


def _check(
    values: tuple[tuple[Callable[[Any], Any], _Test], ...],
    absent: tuple[str, ...],
    nested: tuple[tuple[str, Callable[[Any], Any], Accepts, bool], ...],
) -> Accepts:
    def check(message: Any) -> bool:
        for get, test in values:
            if not test(get(message)):
                return False
        for name in absent:
            if message.HasField(name):
                return False
        for name, get, accept, required in nested:
            if message.HasField(name):
                if not accept(get(message)):
                    return False
            elif required:
                return False
        return True

    return check


def _of_submessage(
    field: FieldDescriptor, rules: validate_pb2.FieldRules, within: tuple[Descriptor, ...]
) -> tuple[Accepts, bool]:
    """The check of the message in a field, and whether it must be there."""
    _only(rules, {"required"})
    assert field.message_type is not None
    return _of_message(field.message_type, within), rules.required


def _of_value(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> _Test:
    if field.is_repeated:
        raise _Unsure
    _only(rules, {"ignore", "string", "int32", "enum"})
    kind = rules.WhichOneof("type")
    if kind == "string":
        test = _of_string(rules.string)
    elif kind == "int32":
        test = _of_int32(rules.int32)
    elif kind == "enum":
        test = _of_enum(field, rules.enum)
    else:
        raise _Unsure
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return lambda value: not value or test(value)
    return test


def _of_string(rules: validate_pb2.StringRules) -> _Test:
    _only(rules, {"uuid", "pattern", "min_len", "max_len"})
    tests: list[_Test] = []
    if rules.uuid:
        tests.append(_UUID)
    if rules.pattern in (ONE_LINE, LINES):
        tests.append(_is_plain)
    elif rules.pattern:
        portable = _PORTABLE(rules.pattern)
        if portable is None:
            raise _Unsure
        tests.append(re.compile(portable[1], re.ASCII).fullmatch)
    if rules.HasField("min_len") or rules.HasField("max_len"):
        shortest, longest = rules.min_len, rules.max_len if rules.HasField("max_len") else 2**62
        tests.append(lambda value: shortest <= len(value) <= longest)
    return reduce(_both, tests, None) or bool


def _is_plain(value: str) -> bool:
    """Of the text that is neither blank nor holds control characters, that which is ASCII: most names are."""
    return value.isascii() and value.isprintable() and value.strip() != ""


def _both(first: _Test | None, second: _Test) -> _Test:
    return second if first is None else lambda value: first(value) and second(value)


def _of_int32(rules: validate_pb2.Int32Rules) -> _Test:
    _only(rules, {"gte", "lte"})
    lowest = rules.gte if rules.HasField("gte") else -(2**31)
    highest = rules.lte if rules.HasField("lte") else 2**31 - 1
    if lowest > highest:  # which means "outside of", to protovalidate
        raise _Unsure
    return lambda value: lowest <= value <= highest


def _of_enum(field: FieldDescriptor, rules: validate_pb2.EnumRules) -> _Test:
    _only(rules, {"defined_only", "not_in"})
    assert field.enum_type is not None
    refused = frozenset(rules.not_in)
    if not rules.defined_only:
        return lambda value: value not in refused
    defined = frozenset(field.enum_type.values_by_number) - refused
    return lambda value: value in defined


def _only(rules: Message, known: set[str]) -> None:
    if not {field.name for field, _ in rules.ListFields()} <= known:
        raise _Unsure
