"""The RPCs of `tally.operations.v1.OperationsService`."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import grpc.aio
import structlog
from tally.operations.v1 import operations_pb2 as resources
from tally.operations.v1 import operations_service_pb2 as messages
from tally.operations.v1.operations_service_pb2_grpc import OperationsServiceServicer

from libs.data.consistency import PRIMARY
from libs.data.database import Database
from libs.data.errors import DatabaseUnavailable, DeadlineExceeded, ResourceExhausted
from libs.data.ids import parse_id
from libs.data.requests import first_answer
from libs.data.revision import newest_revision
from libs.rpc.times import to_timestamp
from services.operations import convert_counters, convert_jobs, store, store_counters, store_jobs
from services.operations.halting import writes_ended

Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger(__name__)


class OperationsService(OperationsServiceServicer):
    """For operators.

    Args:
        services: the database as each service's role sees it.
        status_seconds: GetStatus waits so long for the database.
    """

    def __init__(self, database: Database, services: Mapping[str, Database], status_seconds: float) -> None:
        self._database = database
        self._services = services
        self._status_seconds = status_seconds

    async def Halt(self, request: messages.HaltRequest, context: Context) -> messages.HaltResponse:
        request_id = parse_id(request.request_id)
        committed = await self._database.write(
            lambda tx: store.halt(tx, request.reason, request.actor, request_id), while_halted=True
        )
        state, token, replayed = first_answer(committed)
        log.warning("halted", reason=state.reason, actor=state.actor, replayed=replayed)
        await writes_ended(self._database)
        return messages.HaltResponse(halt_state=_to_halt_state(state), commit_token=token, replayed=replayed)

    async def Resume(self, request: messages.ResumeRequest, context: Context) -> messages.ResumeResponse:
        request_id = parse_id(request.request_id)
        committed = await self._database.write(
            lambda tx: store.resume(tx, request.reason, request.actor, request_id), while_halted=True
        )
        state, token, replayed = first_answer(committed)
        log.warning("resumed", reason=state.reason, actor=state.actor, replayed=replayed)
        return messages.ResumeResponse(halt_state=_to_halt_state(state), commit_token=token, replayed=replayed)

    async def GetStatus(self, request: messages.GetStatusRequest, context: Context) -> messages.GetStatusResponse:
        status = resources.DatabaseStatus(expected_revision=newest_revision())
        try:
            async with asyncio.timeout(self._status_seconds):
                halt_state, database = await self._database.read(store.status, PRIMARY)
        except (TimeoutError, DatabaseUnavailable, DeadlineExceeded, ResourceExhausted):
            return messages.GetStatusResponse(database=status)
        status.reachable = True
        status.server_version = database.server_version
        status.schema_revision = database.schema_revision
        status.horizon_token = database.horizon
        status.connection_count = database.connection_count
        status.max_connection_count = database.max_connection_count
        return messages.GetStatusResponse(halt_state=_to_halt_state(halt_state), database=status)

    async def VerifyCounters(
        self, request: messages.VerifyCountersRequest, context: Context
    ) -> messages.VerifyCountersResponse:
        counter = convert_counters.to_counter(request.counter)
        if keys := convert_counters.to_keys(counter, request):
            work = partial(store_counters.compare, counter=counter, aggregates=keys)
        else:
            size = request.page_size or convert_counters.DEFAULT_PAGE_SIZE
            work = partial(store_counters.compare_page, counter=counter, size=size, token=request.page_token)
        comparison = await self._services[counter.aggregate.role].read(work, PRIMARY, repeatable=True)
        return convert_counters.to_verify_response(comparison)

    async def RepairCounter(
        self, request: messages.RepairCounterRequest, context: Context
    ) -> messages.RepairCounterResponse:
        counter = convert_counters.to_counter(request.counter)
        work = partial(
            store_counters.repair,
            counter=counter,
            aggregate_id=convert_counters.to_key(counter, request.resource_id),
            request_id=parse_id(request.request_id),
        )
        answer = convert_counters.to_repair_response(await self._services[counter.aggregate.role].write(work))
        if answer.repaired and not answer.replayed:
            log.warning("counter_repaired", counter=counter.name, resource_id=request.resource_id)
        return answer

    async def ListJobs(self, request: messages.ListJobsRequest, context: Context) -> messages.ListJobsResponse:
        work = partial(
            store_jobs.jobs_page,
            job_type=request.job_type,
            states=convert_jobs.to_states(request.state),
            size=request.page_size or convert_jobs.DEFAULT_PAGE_SIZE,
            token=request.page_token,
        )
        jobs, token = await self._database.read(work, PRIMARY)
        return messages.ListJobsResponse(jobs=map(convert_jobs.to_job, jobs), next_page_token=token)

    async def RetryJob(self, request: messages.RetryJobRequest, context: Context) -> messages.RetryJobResponse:
        work = partial(store_jobs.retry, job_id=int(request.job_id), request_id=parse_id(request.request_id))
        job, token, replayed = first_answer(await self._database.write(work))
        log.info("job_retried", job_type=job.job_type, key=job.key, job_id=request.job_id, replayed=replayed)
        return messages.RetryJobResponse(job=convert_jobs.to_job(job), commit_token=token, replayed=replayed)


def _to_halt_state(state: store.HaltState) -> resources.HaltState:
    return resources.HaltState(
        halted=state.halted,
        reason=state.reason,
        actor=state.actor,
        changed_time=to_timestamp(state.changed_time) if state.changed_time else None,
    )
