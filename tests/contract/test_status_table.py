"""Errors, reasons, codes and their documentation say the same."""

import ast
import importlib
import re

import grpc
import pytest
from tally.common.v1 import error_reason_pb2

from libs.data import errors
from libs.rpc.status import CODES, code_of
from tests.contract.sources import ROOT, python_files

PREFIX = "ERROR_REASON_"
REASONS = {name.removeprefix(PREFIX) for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name} - {
    "UNSPECIFIED"
}
# `// NOT_FOUND: there is no such petition.` above `ERROR_REASON_PETITION_NOT_FOUND = 100;`
DECLARED = re.compile(r"// ([A-Z_]+): .*\n(?:\s*//.*\n)*\s*ERROR_REASON_([A-Z_]+) = \d+;")


# Whatever else has been imported by now, every service's errors are looked at.
for path in python_files("services"):
    if path.name == "errors.py":
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def kinds(base: type[errors.TallyError] = errors.TallyError) -> list[type[errors.TallyError]]:
    """All that can be raised: what begins with an underscore is there to be inherited from."""
    found = [each for child in base.__subclasses__() for each in (child, *kinds(child))]
    return [each for each in found if not each.__name__.startswith("_")]


def named_in_sources() -> dict[str, str]:
    """Reasons written in the sources, as `reason="…"` or `reason = "…"` of a class, and where."""
    found = {}
    for path in python_files("libs", "services"):
        for node in ast.walk(ast.parse(path.read_text())):
            values: list[ast.expr] = []
            if isinstance(node, ast.keyword) and node.arg == "reason":
                values = [node.value]
            elif isinstance(node, ast.ClassDef):
                values = [
                    each.value
                    for each in node.body
                    if isinstance(each, ast.Assign) and any(ast.unparse(name) == "reason" for name in each.targets)
                ]
            for value in values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.isupper():
                    found[value.value] = str(path.relative_to(ROOT))
    return found


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_its_code_in_the_table(kind: type[errors.TallyError]) -> None:
    assert any(ancestor in CODES for ancestor in kind.__mro__)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_a_reason_of_the_contract(kind: type[errors.TallyError]) -> None:
    abstract = {errors.AlreadyExists, errors.FailedPrecondition}  # their reason is given with each
    assert kind.reason in REASONS
    assert (kind.reason == "INTERNAL") == (kind in abstract | {errors.Internal})


def test_every_reason_in_the_sources_is_one_of_the_contract() -> None:
    named = named_in_sources()
    assert len(named) > 10
    assert {reason: where for reason, where in named.items() if reason not in REASONS} == {}


def test_no_two_kinds_of_error_share_a_place_in_the_table() -> None:
    assert len(set(CODES.values())) == len(CODES)


def test_what_the_table_does_not_know_is_internal() -> None:
    assert code_of(KeyError("x")) == grpc.StatusCode.INTERNAL


def test_the_contract_declares_for_each_reason_the_code_its_error_has() -> None:
    text = (ROOT / "protos/tally/common/v1/error_reason.proto").read_text()
    declared = {reason: code for code, reason in DECLARED.findall(text)}
    assert set(declared) == REASONS
    assert set(declared.values()) <= {code.name for code in grpc.StatusCode}
    for kind in kinds():
        if kind.reason != "INTERNAL":
            assert declared[kind.reason] == code_of(kind.__new__(kind)).name


def test_the_documentation_lists_every_reason_under_its_code() -> None:
    text = (ROOT / "protos/tally/common/v1/error_reason.proto").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((reason, code) for code, reason in DECLARED.findall(text))
