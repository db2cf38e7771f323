"""The logins docs/deployment.md describes are enough to migrate a database and to serve from it."""

import re
import uuid
from collections.abc import Iterator

import grpc.aio
import psycopg
import pytest
from tally.claims.v1.coupon_service_pb2 import ClaimCouponRequest, CreateCouponRequest
from tally.claims.v1.coupon_service_pb2_grpc import CouponServiceStub
from tally.operations.v1.operations_pb2 import JOB_STATE_SUCCEEDED
from tally.operations.v1.operations_service_pb2 import GetStatusRequest, ListJobsRequest, VerifyCountersRequest
from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceStub
from tally.petition.v1 import petition_pb2
from tally.petition.v1.petition_service_pb2 import CoSignRequest, CreatePetitionRequest
from tally.petition.v1.petition_service_pb2_grpc import PetitionServiceStub
from tally.reputation.v1.reputation_service_pb2 import GetReputationRequest
from tally.reputation.v1.reputation_service_pb2_grpc import ReputationServiceStub
from tally.voting.v1 import voting_pb2
from tally.voting.v1.voting_service_pb2 import CreateConversationRequest, CreateOpinionRequest
from tally.voting.v1.voting_service_pb2_grpc import VotingServiceStub

from libs.data.migrate import upgrade
from libs.devstack.postgres import Cluster
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
from tests.deploy.manifests import ROOT
from tests.eventually import becomes_true
from tests.postgres import running_cluster
from tests.servers import channel_to, quick

SUPERUSER = "postgres"


def documented_sql() -> list[str]:
    page = (ROOT / "docs" / "deployment.md").read_text()
    return re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(None, map(str.strip, script.split(";"))):
            connection.execute(statement.encode())


def as_login(cluster: Cluster, login: str, database: str) -> str:
    return cluster.url(database).replace(f"//{SUPERUSER}@", f"//{login}@")


@pytest.fixture(scope="module")
def deployed() -> Iterator[Cluster]:
    """A cluster set up by the document's statements, and migrated by the login that is there for it."""
    administrator, migration = documented_sql()
    with running_cluster() as cluster:
        run(cluster.url("postgres"), "DROP DATABASE tally")
        run(cluster.url("postgres"), administrator)
        owner = as_login(cluster, "tally_migration", "tally")
        run(owner, migration)
        upgrade(owner)
        yield cluster


async def test_services_work_with_logins_that_have_nothing_but_their_role(deployed: Cluster) -> None:
    petition_url = as_login(deployed, "petition_login", "tally")
    settings = quick(PetitionSettings, petition_url, "tally_petition")
    async with channel_to("petition", settings, compose_petition) as channel:
        petitions = PetitionServiceStub(channel)
        petition = petition_pb2.Petition(
            title="A park",
            body="Where the car park is",
            petition_type="local",
            submitter_id=str(uuid.uuid4()),
            escalation_thresholds=[1],
        )
        created = await petitions.CreatePetition(CreatePetitionRequest(petition=petition, request_id=str(uuid.uuid4())))
        signed = await petitions.CoSign(
            CoSignRequest(
                petition_id=created.petition.petition_id, user_id=str(uuid.uuid4()), request_id=str(uuid.uuid4())
            )
        )
        assert signed.co_signer_count == 1

    voting_url = as_login(deployed, "voting_login", "tally")
    async with channel_to("voting", quick(VotingSettings, voting_url, "tally_voting"), compose_voting) as channel:
        voting = VotingServiceStub(channel)
        new = voting_pb2.Conversation(title="The market square", creator_id=str(uuid.uuid4()))
        opened = await voting.CreateConversation(
            CreateConversationRequest(conversation=new, request_id=str(uuid.uuid4()))
        )
        added = await voting.CreateOpinion(
            CreateOpinionRequest(
                conversation_id=opened.conversation.conversation_id,
                author_id=str(uuid.uuid4()),
                body="Trees",
                request_id=str(uuid.uuid4()),
            )
        )
        assert added.opinion.counts.agrees == 1

    claims_url = as_login(deployed, "claims_login", "tally")
    async with channel_to("claims", quick(ClaimsSettings, claims_url, "tally_claims"), compose_claims) as channel:
        coupons = CouponServiceStub(channel)
        await coupons.CreateCoupon(CreateCouponRequest(name="bread", amount=3, request_id=str(uuid.uuid4())))
        claimed = await coupons.ClaimCoupon(
            ClaimCouponRequest(coupon_name="bread", user_id=str(uuid.uuid4()), request_id=str(uuid.uuid4()))
        )
        assert claimed.remaining_amount == 2

    reputation_url = as_login(deployed, "reputation_login", "tally")
    settings_of_reputation = quick(ReputationSettings, reputation_url, "tally_reputation")
    async with channel_to("reputation", settings_of_reputation, compose_reputation) as channel:
        reputations = ReputationServiceStub(channel)
        submitter = GetReputationRequest(user_id=petition.submitter_id)

        async def the_submitter_is_known_by_the_escalation() -> bool:
            try:
                found = await reputations.GetReputation(submitter)
            except grpc.aio.AioRpcError:
                return False
            return found.reputation.overall_score == "77.00"

        await becomes_true(the_submitter_is_known_by_the_escalation, within=30)

    operations_url = as_login(deployed, "operations_login", "tally")
    settings_of_operations = quick(OperationsSettings, operations_url, "tally_operations")
    async with channel_to("operations", settings_of_operations, compose_operations) as channel:
        operations = OperationsServiceStub(channel)
        status = await operations.GetStatus(GetStatusRequest())
        assert status.database.reachable
        assert status.HasField("halt_state")
        for counter in ("petition.co_signers", "voting.votes", "claims.coupon_remaining", "reputation.score"):
            compared = await operations.VerifyCounters(VerifyCountersRequest(counter=counter))
            assert (compared.checked_count, len(compared.discrepancies)) == (1, 0)

        async def every_service_is_looked_after() -> bool:
            rounds = await operations.ListJobs(ListJobsRequest(state=JOB_STATE_SUCCEEDED))
            of_services = {"reconcile_petitions", "reconcile_conversations", "reconcile_claims", "reconcile_reputation"}
            return {job.job_type for job in rounds.jobs} >= {*of_services, "prune_events"}

        await becomes_true(every_service_is_looked_after, within=60)


@pytest.mark.parametrize("login", ["petition_login", "voting_login", "claims_login", "reputation_login"])
def test_a_services_login_cannot_take_the_role_of_another(deployed: Cluster, login: str) -> None:
    url = as_login(deployed, login, "tally")
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET ROLE tally_operations")


@pytest.mark.parametrize(
    "table", ["petition.co_signs", "voting.votes", "claims.claims", "reputation.reputation_events"]
)
def test_the_login_of_operations_has_no_right_of_a_service_before_it_takes_its_role(
    deployed: Cluster, table: str
) -> None:
    url = as_login(deployed, "operations_login", "tally")
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT FROM {table}".encode())
        connection.execute(f"SET ROLE tally_{table.partition('.')[0]}".encode())
        connection.execute(f"SELECT FROM {table}".encode())
