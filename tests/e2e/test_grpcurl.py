"""The lines the documents show, run as they stand by the real grpcurl; only the addresses are the test's own."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from tally.claims.v1 import coupon_service_pb2, exchange_service_pb2
from tally.petition.v1 import petition_service_pb2
from tally.reputation.v1 import reputation_service_pb2
from tally.voting.v1 import analysis_service_pb2, voting_service_pb2

from libs.rpc.server import serving
from services.aggregator.__main__ import compose as compose_aggregator
from services.aggregator.settings import AggregatorSettings
from services.claims.__main__ import compose as compose_claims
from services.claims.settings import ClaimsSettings
from services.operations.__main__ import compose as compose_operations
from services.operations.settings import OperationsSettings
from services.petition.__main__ import compose as compose_petition
from services.petition.settings import PetitionSettings
from services.reputation.__main__ import compose as compose_reputation
from services.reputation.settings import ReputationSettings
from services.voting.__main__ import compose as compose_voting
from services.voting.settings import VotingSettings
from tests.programs import program
from tests.servers import quick

ROOT = Path(__file__).resolve().parents[2]
AREAS = ("petition", "voting", "claims", "reputation", "aggregator", "operations")
PAGES = ["README.md", "docs/operations.md", *(f"docs/api/{area}.md" for area in AREAS)]
PETITION, VOTING, CLAIMS = "127.0.0.1:50051", "127.0.0.1:50052", "127.0.0.1:50053"
REPUTATION, AGGREGATOR, OPERATIONS = "127.0.0.1:50054", "127.0.0.1:50055", "127.0.0.1:50056"
# Where each service is, with one of its methods.
SERVICES = [
    (PETITION, "tally.petition.v1.PetitionService", "CoSign"),
    (VOTING, "tally.voting.v1.VotingService", "CastVote"),
    (VOTING, "tally.voting.v1.AnalysisService", "GetAnalysis"),
    (CLAIMS, "tally.claims.v1.CouponService", "ClaimCoupon"),
    (CLAIMS, "tally.claims.v1.ExchangeService", "ClaimFood"),
    (REPUTATION, "tally.reputation.v1.ReputationService", "RecordReputationEvent"),
    (REPUTATION, "tally.reputation.v1.GroupService", "JoinGroup"),
    (AGGREGATOR, "tally.aggregator.v1.AggregatorService", "GetCounter"),
    (OPERATIONS, "tally.operations.v1.OperationsService", "Halt"),
]
SHELL_BLOCK = re.compile(r"^```(?:sh)?\n((?:(?!```).*\n)*)```$", re.MULTILINE)
MARK = "──"


@pytest.fixture
def grpcurl() -> Path:
    return Path(program("grpcurl"))


@pytest.fixture
async def addresses(database_url: str) -> AsyncIterator[dict[str, str]]:
    """Where each address of the documents is served in this test."""
    async with contextlib.AsyncExitStack() as services:
        petition = quick(PetitionSettings, database_url, "tally_petition", default_deadline_seconds=30.0)
        voting = quick(VotingSettings, database_url, "tally_voting", default_deadline_seconds=30.0)
        claims = quick(ClaimsSettings, database_url, "tally_claims", default_deadline_seconds=30.0)
        reputation = quick(ReputationSettings, database_url, "tally_reputation", default_deadline_seconds=30.0)
        aggregator = quick(AggregatorSettings, database_url, "tally_aggregator", default_deadline_seconds=30.0)
        operations = quick(OperationsSettings, database_url, "tally_operations", default_deadline_seconds=30.0)
        yield {
            PETITION: (await services.enter_async_context(serving("petition", petition, compose_petition))).address,
            VOTING: (await services.enter_async_context(serving("voting", voting, compose_voting))).address,
            CLAIMS: (await services.enter_async_context(serving("claims", claims, compose_claims))).address,
            REPUTATION: (
                await services.enter_async_context(serving("reputation", reputation, compose_reputation))
            ).address,
            AGGREGATOR: (
                await services.enter_async_context(serving("aggregator", aggregator, compose_aggregator))
            ).address,
            OPERATIONS: (
                await services.enter_async_context(serving("operations", operations, compose_operations))
            ).address,
        }


def shell_blocks(page: str) -> list[str]:
    """The blocks that call grpcurl, and those that prepare for them."""
    blocks = SHELL_BLOCK.findall((ROOT / page).read_text())
    return [block for block in blocks if re.search(r"^(\w+=\$\(grpcurl |grpcurl |new_id\(\))", block, re.MULTILINE)]


async def run(script: str, grpcurl: Path, addresses: dict[str, str]) -> tuple[int, str]:
    """Exit status and output of a shell script whose addresses are replaced."""
    for documented, actual in addresses.items():
        script = script.replace(documented, actual)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        env=os.environ | {"PATH": f"{grpcurl.parent}{os.pathsep}{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("page", PAGES)
async def test_the_lines_of_the_documents_work_as_they_stand(
    page: str, grpcurl: Path, addresses: dict[str, str]
) -> None:
    blocks = [without_other_commands(block) for block in shell_blocks(page)]
    script = "\n".join(f"echo '{MARK}'\n{block}" for block in blocks)
    status, output = await run(script, grpcurl, addresses)
    assert status == 0, output
    answers = output.split(MARK)[1:]
    assert len(answers) == len(blocks)
    for block, answer in zip(blocks, answers, strict=True):
        if "-max-time" in block:
            assert '"values"' in answer and answer.count("ERROR") == answer.count("Code: DeadlineExceeded") == 1, answer
        else:
            assert "ERROR" not in answer, f"{block}\n{answer}"


def without_other_commands(block: str) -> str:
    """README's blocks also show `make` and `tally`, which other tests run."""
    return "".join(line for line in block.splitlines(keepends=True) if not re.match(r"make |\.venv/bin/tally ", line))


def test_every_page_has_lines_to_run() -> None:
    """A page whose blocks are no longer recognised would pass with nothing run."""
    for page, file in (
        ("docs/api/petition.md", petition_service_pb2),
        ("docs/api/voting.md", voting_service_pb2),
        ("docs/api/voting.md", analysis_service_pb2),
        ("docs/api/claims.md", coupon_service_pb2),
        ("docs/api/claims.md", exchange_service_pb2),
        ("docs/api/reputation.md", reputation_service_pb2),
    ):
        lines = "\n".join(shell_blocks(page))
        service: ServiceDescriptor
        (service,) = file.DESCRIPTOR.services_by_name.values()
        assert [rpc for rpc in service.methods_by_name if f"{service.full_name}/{rpc}" not in lines] == []
    assert all(shell_blocks(page) for page in PAGES)


@pytest.mark.parametrize(("address", "service", "method"), SERVICES)
async def test_each_service_describes_itself(
    grpcurl: Path, addresses: dict[str, str], address: str, service: str, method: str
) -> None:
    status, listed = await run(f"grpcurl -plaintext {address} list", grpcurl, addresses)
    assert (status, set(listed.split())) == (
        0,
        {each for place, each, _ in SERVICES if place == address}
        | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"},
    )
    status, described = await run(f"grpcurl -plaintext {address} describe {service}.{method}", grpcurl, addresses)
    assert status == 0 and f"rpc {method} (" in described, described
    message = f"{service.rpartition('.')[0]}.{method}Request"
    status, described = await run(f"grpcurl -plaintext {address} describe {message}", grpcurl, addresses)
    assert status == 0 and f"message {method}Request" in described
    health = f'grpcurl -plaintext -d \'{{"service": "{service}"}}\' {address} grpc.health.v1.Health/Check'
    status, answer = await run(health, grpcurl, addresses)
    assert status == 0 and '"SERVING"' in answer


async def test_an_error_is_shown_with_its_reason_and_the_bad_fields(grpcurl: Path, addresses: dict[str, str]) -> None:
    call = f"grpcurl -plaintext -d '{{}}' {PETITION} tally.petition.v1.PetitionService/CoSign"
    status, shown = await run(call, grpcurl, addresses)
    assert status != 0
    for words in ("InvalidArgument", "INVALID_FIELDS", '"petition_id"', '"user_id"', '"request_id"'):
        assert words in shown.replace("petitionId", "petition_id"), shown
