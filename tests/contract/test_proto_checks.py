"""The checks of the protos work offline, look at our files only, and do fail when they should."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tests.contract.sources import ROOT
from tools import generate_stubs

BASELINE = ROOT / "protos" / "baseline.binpb.gz"


def buf(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("buf")
    return subprocess.run(
        [str(program), *map(str, arguments), "--config", str(ROOT / "buf.yaml")],
        capture_output=True,
        text=True,
        env={**os.environ, "BUF_CACHE_DIR": str(ROOT / ".build" / "buf")},
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("protos") / "current.binpb"
    generate_stubs.write_image(target)
    return target


def test_the_committed_stubs_equal_what_the_protos_generate(tmp_path: Path) -> None:
    generate_stubs.generate(tmp_path)
    assert generate_stubs.differences(tmp_path) == []


def test_a_changed_stub_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(generate_stubs.SDK, tmp_path, dirs_exist_ok=True)
    changed = next((tmp_path / "tally").rglob("*_pb2.py"))
    changed.write_text(changed.read_text() + "\n")
    (tmp_path / "tally" / "extra_pb2.py").touch()
    assert generate_stubs.differences(tmp_path) == sorted([str(changed.relative_to(tmp_path)), "tally/extra_pb2.py"])


def test_our_protos_pass_the_lint(image: Path) -> None:
    result = buf("lint", image)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_lint_reports_a_badly_written_proto_and_nothing_of_what_it_imports(tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    shutil.copytree(generate_stubs.PROTOS, protos)
    bad = protos / "tally" / "petition" / "v1" / "bad.proto"
    bad.write_text(
        'syntax = "proto3";\npackage tally.petition.v1;\n'
        'import "buf/validate/validate.proto";\nimport "google/protobuf/timestamp.proto";\n'
        "message lower_case { google.protobuf.Timestamp BadName = 1 [(buf.validate.field).required = true]; }\n"
    )
    generate_stubs.write_image(tmp_path / "bad.binpb", protos)
    result = buf("lint", tmp_path / "bad.binpb")
    assert result.returncode != 0
    reports = result.stdout.splitlines()
    assert {line.split(":")[0] for line in reports} == {"tally/petition/v1/bad.proto"}
    assert any("PascalCase" in line for line in reports)
    assert any("non-empty comment" in line for line in reports)


def test_the_current_protos_break_nothing_that_was_accepted(image: Path) -> None:
    result = buf("breaking", image, "--against", BASELINE)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_accepted_api_covers_every_proto() -> None:
    accepted = descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(BASELINE.read_bytes()))
    missing = set(generate_stubs.proto_files()) - {file.name for file in accepted.file}
    assert not missing, "accept new files with `make proto-baseline`"


@pytest.mark.parametrize("what", ["field", "rpc", "type"])
def test_a_change_that_would_break_a_client_is_reported(image: Path, tmp_path: Path, what: str) -> None:
    changed = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    service = next(file for file in changed.file if file.name == "tally/petition/v1/petition_service.proto")
    message = next(message for message in service.message_type if message.name == "CoSignResponse")
    if what == "field":
        del message.field[0]
    elif what == "rpc":
        del service.service[0].method[0]
    else:
        message.field[1].type = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    (tmp_path / "changed.binpb").write_bytes(changed.SerializeToString())
    result = buf("breaking", tmp_path / "changed.binpb", "--against", image)
    assert result.returncode == 100, result.stdout + result.stderr
    assert "tally/petition/v1/petition_service.proto" in result.stdout
