"""Every RPC has rules for its fields, a documented line and error table, and tests; every guarantee has tests."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from tests.contract.sources import ROOT, python_files, shown, tree

PROTOS = sorted((ROOT / "protos").rglob("*_service.proto"))
READS = ("Get", "List", "BatchGet", "Watch", "Verify", "Export")
# What it brings has ids that follow from those it had elsewhere: sending it again is repeating it.
REPEATED_WITHOUT_AN_ID = {"ImportConversation"}
ROW = re.compile(r"^\| ([A-Z_]+) \| ([A-Z_]+) \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Rpc:
    area: str
    method: MethodDescriptor
    comment: str
    service_comment: str

    @property
    def reasons(self) -> set[str]:
        """What the comment promises besides the reasons every RPC has."""
        listed = re.search(r"Reasons(?: \([^)]*\))?: (.*)", self.comment)
        if listed is None:
            return set()
        others = {other.method.name: other for other in ALL if other.area == self.area}
        borrowed = [others[name].reasons for name in re.findall(r"those of (\w+)", listed.group(1))]
        return set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", listed.group(1))).union(*borrowed)

    @property
    def common_reasons(self) -> set[str]:
        return set(re.findall(r"\b(?:[A-Z]{2,}_[A-Z_]+|INTERNAL|HALTED)\b", self.service_comment))

    @property
    def page(self) -> str:
        return (ROOT / "docs" / "api" / f"{self.area}.md").read_text()

    @property
    def section(self) -> str:
        found = re.search(rf"^## {self.method.name}\n(.*?)(?=^## |\Z)", self.page, re.MULTILINE | re.DOTALL)
        assert found is not None, f"docs/api/{self.area}.md has no section {self.method.name}"
        return found.group(1)


def comment_before(declaration: str, proto: str) -> str:
    """The lines of comment just above a declaration, as one text."""
    found = re.search(rf"((?:^[ ]*//.*\n)+)^[ ]*{declaration}", proto, re.MULTILINE)
    assert found is not None, declaration
    return " ".join(line.strip().removeprefix("//").strip() for line in found.group(1).splitlines())


def rpcs() -> Iterator[Rpc]:
    for path in PROTOS:
        module = importlib.import_module(".".join(path.relative_to(ROOT / "protos").with_suffix("").parts) + "_pb2")
        proto = path.read_text()
        services: dict[str, ServiceDescriptor] = dict(module.DESCRIPTOR.services_by_name)
        for service in services.values():
            about = comment_before(rf"service {service.name} ", proto)
            for method in service.methods:
                yield Rpc(path.parts[-3], method, comment_before(rf"rpc {method.name}\(", proto), about)


ALL = list(rpcs())
each_rpc = pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: f"{rpc.area}.{rpc.method.name}")


def fields(message: Descriptor, path: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field of a request, those of Tally's messages inside it included.

    What a resource ignores is the server's, with all that is in it; what a request ignores is judged by its handler.
    """
    for field in message.fields:
        yield f"{path}{field.name}", field
        if (
            field.message_type is not None
            and field.message_type.full_name.startswith("tally.")
            and not (path and is_ignored(field))
        ):
            yield from fields(field.message_type, f"{path}{field.name}.")


def is_ignored(field: FieldDescriptor) -> bool:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.ignore == validate_pb2.IGNORE_ALWAYS)


def has_rules(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().HasExtension(validate_pb2.field))


def needs_rules(field: FieldDescriptor) -> bool:
    """A bool has no bad value, and a message is as good as its fields, unless it is left out or repeated."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return False
    return field.type != FieldDescriptor.TYPE_MESSAGE or bool(field.is_repeated)


def test_there_are_rpcs_to_look_at() -> None:
    assert {rpc.area for rpc in ALL} >= {"petition", "voting", "claims", "reputation", "aggregator", "operations"}
    assert len(ALL) >= 59


@each_rpc
def test_every_field_of_a_request_has_rules_where_a_value_can_be_bad(rpc: Rpc) -> None:
    without = [path for path, field in fields(rpc.method.input_type) if needs_rules(field) and not has_rules(field)]
    assert not without


@each_rpc
def test_every_write_can_be_repeated_by_its_request_id(rpc: Rpc) -> None:
    if rpc.method.name.startswith(READS) or rpc.method.name in REPEATED_WITHOUT_AN_ID:
        return
    ids = [field for path, field in fields(rpc.method.input_type) if path.rpartition(".")[2] == "request_id"]
    assert ids
    assert all(field.GetOptions().Extensions[validate_pb2.field].string.uuid for field in ids)
    answers = {path.rpartition(".")[2] for path, _ in fields(rpc.method.output_type)}
    assert {"replayed", "commit_token"} <= answers


@each_rpc
def test_every_listing_has_a_page_size_and_those_of_growing_things_a_token(rpc: Rpc) -> None:
    asked = {path for path, _ in fields(rpc.method.input_type)}
    if "page_token" in asked:
        assert "page_size" in asked
        assert "next_page_token" in {path for path, _ in fields(rpc.method.output_type)}
        assert "INVALID_PAGE_TOKEN" in rpc.reasons


@each_rpc
def test_every_rpc_has_a_line_to_try(rpc: Rpc) -> None:
    called = f"{rpc.method.containing_service.full_name}/{rpc.method.name}"
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", rpc.section, re.MULTILINE | re.DOTALL))
    assert called in lines and "grpcurl" in lines


@each_rpc
def test_the_documented_errors_are_those_the_proto_promises(rpc: Rpc) -> None:
    documented = {reason for _, reason, _ in ROW.findall(rpc.section)}
    # INVALID_FIELDS is every RPC's; where items are judged one by one it is listed again.
    assert documented - {"INVALID_FIELDS"} == rpc.reasons - {"INVALID_FIELDS"}


@each_rpc
def test_the_errors_every_rpc_has_are_documented_once_a_page(rpc: Rpc) -> None:
    common = rpc.page.partition("## Errors of every RPC")[2].partition("\n## ")[0]
    assert {reason for _, reason, _ in ROW.findall(common)} == rpc.common_reasons


def test_documented_codes_are_those_of_the_reasons() -> None:
    declared = {
        reason: code
        for code, reason in re.findall(
            r"// ([A-Z_]+): [^\n]*\n(?:\s*//[^\n]*\n)*\s*ERROR_REASON_([A-Z_]+) =",
            (ROOT / "protos/tally/common/v1/error_reason.proto").read_text(),
        )
    }
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        rows = ROW.findall(page.read_text())
        assert rows, shown(page)
        wrong = [(code, reason) for code, reason, _ in rows if declared[reason] != code]
        assert not wrong, shown(page)


@cache
def words(area: str) -> set[str]:
    """Names and strings in the tests of a service, those of documentation left out."""
    found: set[str] = set()
    for path in python_files(f"tests/services/{area}"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@each_rpc
def test_every_rpc_is_called_by_a_test_of_its_service(rpc: Rpc) -> None:
    assert rpc.method.name in words(rpc.area)


@each_rpc
def test_every_reason_an_rpc_promises_is_expected_by_a_test_of_its_service(rpc: Rpc) -> None:
    missing = rpc.reasons - words(rpc.area)
    assert not missing


# -- guarantees

GUARANTEES = ROOT / "docs" / "guarantees.md"
KEPT = re.compile(r"^## (G\d+) ", re.MULTILINE)
TO_COME = re.compile(r"^\| (G\d+) \|", re.MULTILINE)


def files_by_guarantee() -> dict[str, set[str]]:
    """Files of tests whose docstring, or whose module's, names a guarantee, by guarantee."""
    found: dict[str, set[str]] = {}
    for path in python_files("tests"):
        if not path.name.startswith("test_"):
            continue
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
                continue
            said = f"{ast.get_docstring(node)} {ast.get_docstring(tree(path))}"
            for guarantee in re.findall(r"\bG\d+\b", said):
                found.setdefault(guarantee, set()).add(shown(path))
    return found


def test_every_guarantee_is_kept_and_tested_or_said_to_come() -> None:
    text = GUARANTEES.read_text()
    kept, to_come = set(KEPT.findall(text)), set(TO_COME.findall(text))
    assert kept | to_come == {f"G{n}" for n in range(1, 12)}
    assert not kept & to_come
    assert kept - set(files_by_guarantee()) == set()


def test_the_tests_a_guarantee_points_at_name_it() -> None:
    tested = files_by_guarantee()
    for section in re.split(r"^## ", GUARANTEES.read_text(), flags=re.MULTILINE)[1:]:
        guarantee = section.split()[0]
        if not re.fullmatch(r"G\d+", guarantee):
            continue
        named = set(re.findall(r"`(tests/[\w/]+\.py)`", section))
        assert named, f"{guarantee} points at no test"
        assert named <= tested[guarantee], f"{guarantee}: {named - tested[guarantee]} do not name it"
