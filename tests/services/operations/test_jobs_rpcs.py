"""ListJobs and RetryJob."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tally.operations.v1 import operations_pb2 as resources
from tally.operations.v1 import operations_service_pb2 as messages

from libs.data.database import Database
from libs.data.settings import DatabaseSettings
from libs.jobs.job import Job, JobContext
from tests.jobs.workshop import Workshop
from tests.servers import refused
from tests.services.operations.operators import Operator
from tests.services.petition.people import new_uuid
from tests.stored import Connection, halt


async def good(context: JobContext, key: str) -> None: ...


async def bad(context: JobContext, key: str) -> None:
    raise RuntimeError("not today")


GOOD, BAD = Job("good", good), Job("bad", bad, retries=0)


@pytest.fixture
async def workshop(database_url: str, db: Connection) -> AsyncIterator[Workshop]:
    settings = DatabaseSettings(database_url=database_url, database_role="tally_operations")
    async with Database.open(settings) as database:
        yield Workshop(settings, database, db)


async def listed(operator: Operator, **request: Any) -> messages.ListJobsResponse:
    return await operator.stub.ListJobs(messages.ListJobsRequest(**request))


async def retried(operator: Operator, job_id: str, request_id: str = "") -> messages.RetryJobResponse:
    return await operator.stub.RetryJob(messages.RetryJobRequest(job_id=job_id, request_id=request_id or new_uuid()))


async def a_failed_job(workshop: Workshop, operator: Operator) -> resources.Job:
    async with workshop.working(BAD):
        await workshop.queue("bad", "a")
        await workshop.become("bad", failed=1)
    (job,) = (await listed(operator, job_type="bad")).jobs
    return job


def is_now(moment: Any) -> bool:
    return bool(abs(moment.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1))


async def test_jobs_are_listed_newest_first_with_what_became_of_them(operator: Operator, workshop: Workshop) -> None:
    async with workshop.working(GOOD, BAD):
        await workshop.queue("bad", "a")
        await workshop.become("bad", failed=1)
        await workshop.queue("good", "b")
        await workshop.become("good", succeeded=1)
    await workshop.queue("later", "c", pause=3600.0)
    later, succeeded, failed = (await listed(operator)).jobs
    assert (later.job_type, later.key, later.state) == ("later", "c", resources.JOB_STATE_QUEUED)
    assert later.attempt_count == 0
    assert later.scheduled_time.ToDatetime(UTC) > datetime.now(UTC) + timedelta(minutes=59)
    assert not later.HasField("started_time") and not later.HasField("ended_time")
    assert (succeeded.job_type, succeeded.key, succeeded.state) == ("good", "b", resources.JOB_STATE_SUCCEEDED)
    assert (failed.job_type, failed.key, failed.state) == ("bad", "a", resources.JOB_STATE_FAILED)
    assert succeeded.attempt_count == failed.attempt_count == 1
    for job in (succeeded, failed):
        assert is_now(job.created_time) and is_now(job.started_time) and is_now(job.ended_time)
        assert not job.HasField("scheduled_time")
        assert int(job.job_id) > 0


async def test_a_job_that_runs_is_listed_as_running_with_the_attempt_it_is_at(
    operator: Operator, workshop: Workshop
) -> None:
    await workshop.queue("good", "a")
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'doing', attempts = 2")
    (job,) = (await listed(operator, state=resources.JOB_STATE_RUNNING)).jobs
    assert job.attempt_count == 3
    assert is_now(job.started_time)


async def test_jobs_are_listed_by_type_and_state(operator: Operator, workshop: Workshop) -> None:
    await workshop.queue("good", "a", "b")
    await workshop.queue("bad", "c")
    await workshop.db.execute("UPDATE jobs.procrastinate_jobs SET status = 'succeeded' WHERE args->>'key' = 'b'")
    assert {job.key for job in (await listed(operator, job_type="good")).jobs} == {"a", "b"}
    queued = await listed(operator, state=resources.JOB_STATE_QUEUED)
    assert {job.key for job in queued.jobs} == {"a", "c"}
    both = await listed(operator, job_type="good", state=resources.JOB_STATE_SUCCEEDED)
    assert [job.key for job in both.jobs] == ["b"]
    assert not (await listed(operator, job_type="unheard_of")).jobs


async def test_pages_follow_each_other_and_together_are_all_jobs(operator: Operator, workshop: Workshop) -> None:
    await workshop.queue("good", *map(str, range(7)))
    seen, token = [], ""
    for size in (3, 3, 1):
        page = await listed(operator, page_size=3, page_token=token)
        assert len(page.jobs) == size
        seen += [int(job.job_id) for job in page.jobs]
        token = page.next_page_token
    assert not token
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == 7


async def test_a_page_token_of_another_listing_is_refused(operator: Operator, workshop: Workshop) -> None:
    await workshop.queue("good", "a", "b")
    token = (await listed(operator, page_size=1)).next_page_token
    for request in ({"page_token": "nonsense"}, {"page_token": token, "job_type": "good"}):
        answer = await refused(listed(operator, **request))
        assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"), ["page_token"])


async def test_a_job_that_failed_is_tried_again_from_its_first_attempt(operator: Operator, workshop: Workshop) -> None:
    failed = await a_failed_job(workshop, operator)
    answer = await retried(operator, failed.job_id)
    assert (answer.job.job_id, answer.job.state) == (failed.job_id, resources.JOB_STATE_QUEUED)
    assert answer.job.attempt_count == 0
    assert answer.commit_token and not answer.replayed
    async with workshop.working(Job("bad", good)):
        await workshop.become("bad", succeeded=1)
    assert await workshop.attempts("bad") == [1]


async def test_where_the_same_work_waits_already_nothing_else_is_queued(operator: Operator, workshop: Workshop) -> None:
    failed = await a_failed_job(workshop, operator)
    await workshop.queue("bad", "a", pause=3600.0)
    answer = await retried(operator, failed.job_id)
    assert int(answer.job.job_id) > int(failed.job_id)
    assert answer.job.state == resources.JOB_STATE_QUEUED
    assert not answer.job.HasField("scheduled_time"), "an operator who asks does not wait for its time"
    assert await workshop.states("bad") == {"todo": 1}


async def test_repeating_a_retry_is_answered_as_the_first_time_whatever_became_of_the_job(
    operator: Operator, workshop: Workshop
) -> None:
    failed = await a_failed_job(workshop, operator)
    request_id = new_uuid()
    first = await retried(operator, failed.job_id, request_id)
    async with workshop.working(BAD):
        await workshop.become("bad", failed=1)
    again = await retried(operator, failed.job_id, request_id)
    assert again.replayed
    assert (again.job, again.commit_token) == (first.job, first.commit_token)
    assert await workshop.states("bad") == {"failed": 1}
    answer = await refused(retried(operator, str(int(failed.job_id) + 1), request_id))
    assert answer.said == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


async def test_only_a_job_that_failed_for_good_is_tried_again(operator: Operator, workshop: Workshop) -> None:
    await workshop.queue("good", "a")
    (queued,) = (await listed(operator)).jobs
    assert (await refused(retried(operator, queued.job_id))).said == ("FAILED_PRECONDITION", "JOB_NOT_FAILED")
    for unknown in ("999999", "9" * 20):
        assert (await refused(retried(operator, unknown))).said == ("NOT_FOUND", "JOB_NOT_FOUND")
    assert await workshop.states("good") == {"todo": 1}


async def test_nothing_is_tried_again_while_writes_are_halted(operator: Operator, workshop: Workshop) -> None:
    failed = await a_failed_job(workshop, operator)
    await halt(workshop.db)
    assert (await refused(retried(operator, failed.job_id))).said == ("FAILED_PRECONDITION", "HALTED")
    assert await workshop.states("bad") == {"failed": 1}
    assert [job.key for job in (await listed(operator)).jobs] == ["a"]


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.ListJobsRequest(job_type="Analysis"), ["job_type"]),
        (messages.ListJobsRequest(job_type="a" * 101), ["job_type"]),
        (messages.ListJobsRequest(page_size=-1), ["page_size"]),
        (messages.ListJobsRequest(page_size=1001), ["page_size"]),
        (messages.ListJobsRequest(page_token="a" * 2001), ["page_token"]),
        (messages.ListJobsRequest(state=17), ["state"]),  # type: ignore[arg-type]
    ],
)
async def test_every_bad_field_of_list_jobs_is_named(
    operator: Operator, request_: messages.ListJobsRequest, fields: list[str]
) -> None:
    answer = await refused(operator.stub.ListJobs(request_))
    assert (answer.said, answer.fields) == (("INVALID_ARGUMENT", "INVALID_FIELDS"), fields)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (messages.RetryJobRequest(), ["job_id", "request_id"]),
        (messages.RetryJobRequest(job_id="-1", request_id=new_uuid()), ["job_id"]),
        (messages.RetryJobRequest(job_id="1" * 21, request_id=new_uuid()), ["job_id"]),
        (messages.RetryJobRequest(job_id="1", request_id="7"), ["request_id"]),
    ],
)
async def test_every_bad_field_of_retry_job_is_named_and_nothing_is_queued(
    operator: Operator, workshop: Workshop, request_: messages.RetryJobRequest, fields: list[str]
) -> None:
    failed = await a_failed_job(workshop, operator)
    answer = await refused(operator.stub.RetryJob(request_))
    assert answer.said == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert list(dict.fromkeys(answer.fields)) == fields
    assert failed.state == resources.JOB_STATE_FAILED
    assert await workshop.states("bad") == {"failed": 1}
