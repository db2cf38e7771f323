"""The background process of the local stack: `python -m libs.devstack.supervisor`, started by `tally up`.

It starts Postgres (unless it is given one), migrates, starts the services, and keeps them running until SIGTERM. Whatever
happens it writes to `stack.json`; it holds `supervisor.lock` for as long as it lives.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psutil

from libs.devstack import locks
from libs.devstack.errors import DevstackError, log_tail
from libs.devstack.placement import make_state_folder
from libs.devstack.postgres import Cluster
from libs.devstack.program import Keeper, Program, describe_exit, module_program, open_log
from libs.devstack.replica import Replica
from libs.devstack.settings import HOST, SERVICES, SOURCE_ROOT, Service, StackSettings
from libs.devstack.spawn import die_with_parent
from libs.devstack.state import Kind, Phase, StackState

_READY_SECONDS = 60.0
_HOPELESS_RESTARTS = 3


def cluster_program(name: str, kind: Kind, cluster: Cluster) -> Program:
    """A postmaster as a program: fast shutdown, and nothing left of its predecessor before it starts."""
    return Program(
        name,
        kind,
        f"{HOST}:{cluster.port}",
        cluster.command(),
        cluster.log,
        cluster.spawn_options(),
        before_start=cluster.clear_leftovers,
        stop_signal=signal.SIGINT,
        stop_grace=30.0,
    )


class Supervisor:
    """Runs one stack. `services` is the table of what to run; tests pass one of their own."""

    def __init__(self, settings: StackSettings, services: Sequence[Service] = SERVICES) -> None:
        self.settings = settings
        self.services = services
        self.folder = settings.state
        self.cluster: Cluster | None = None
        self.keepers: list[Keeper] = []  # in the order they were started; stopped the other way round
        self._stop = asyncio.Event()
        me = psutil.Process()
        self.state = StackState(
            supervisor_pid=me.pid,
            supervisor_create_time=me.create_time(),
            started_at=datetime.now(UTC),
            phase="starting",
            port_base=settings.port_base,
            database_url=settings.database_url,
            embedded=settings.embedded,
        )

    def request_stop(self) -> None:
        self._stop.set()

    async def run(self) -> int:
        """Runs until `request_stop`; returns the exit status: 0 after a stop, 1 when the start failed."""
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stop.wait())
        failure: BaseException | None = None
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            failure = starting.exception()
        else:
            starting.cancel()
            await asyncio.wait({starting})
        if failure is None:
            await self._stop.wait()
            self._enter("stopping")
        stopping.cancel()
        await self._stop_everything()
        if failure is not None:
            print(f"start failed: {failure!r}", flush=True)
            self._enter("failed", str(failure) if isinstance(failure, DevstackError) else repr(failure))
            return 1
        self._enter("stopped")
        return 0

    async def _start(self) -> None:
        if self.settings.embedded:
            await self._start_postgres()
        self._enter("starting", "migrations")
        await self._migrate()
        for number in range(1, self.settings.replicas + 1 if self.settings.embedded else 1):
            await self._start_replica(number)
        self._enter("starting", "services")
        for service in self.services:
            self._keep(self._service_program(service))
        self._enter("running")

    async def _start_postgres(self) -> None:
        self._enter("starting", "postgres")
        cluster = Cluster.in_state_folder(
            self.folder.path, port=self.settings.postgres_port, log=self.folder.log("postgres")
        )
        self.cluster = cluster
        cluster.initialise()
        keeper = self._keep(cluster_program("postgres", "postgres", cluster))
        await self._wait_until_answers(cluster, keeper)
        await asyncio.to_thread(cluster.ensure_database)
        self.state.database_url = cluster.url()

    async def _start_replica(self, number: int) -> None:
        self._enter("starting", f"replica-{number}")
        assert self.cluster is not None
        name = f"replica-{number}"
        replica = Replica(self.cluster, number, port=self.settings.replica_port(number), log=self.folder.log(name))
        await asyncio.to_thread(replica.prepare)
        keeper = self._keep(cluster_program(name, "replica", replica.cluster))
        await self._wait_until_answers(replica.cluster, keeper)
        self.state.replica_urls.append(replica.cluster.url())

    async def _wait_until_answers(self, cluster: Cluster, keeper: Keeper) -> None:
        give_up = time.monotonic() + _READY_SECONDS
        while not await asyncio.to_thread(cluster.answers):
            if keeper.state.restarts >= _HOPELESS_RESTARTS or time.monotonic() > give_up:
                raise DevstackError(f"{keeper.program.name} did not start; its log ends:\n{log_tail(cluster.log)}")
            await asyncio.sleep(0.05)

    async def _migrate(self) -> None:
        log_path = self.folder.log("migrate")
        with open_log(log_path) as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "libs.data.migrate",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=SOURCE_ROOT,
                env={**os.environ, "TALLY_DATABASE_URL": self.state.database_url},
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if status != 0:
            raise DevstackError(f"migrations {describe_exit(status)}; their log ends:\n{log_tail(log_path)}")

    def _service_program(self, service: Service) -> Program:
        environment = {
            "TALLY_DATABASE_URL": self.state.database_url,
            "TALLY_REPLICA_URLS": ",".join(self.state.replica_urls),
            "TALLY_LISTEN": self.settings.address(service),
            "TALLY_METRICS_LISTEN": self.settings.metrics_address(service),
        }
        return module_program(
            service.name,
            service.module,
            address=self.settings.address(service),
            log=self.folder.log(service.name),
            environment=environment,
            cwd=SOURCE_ROOT,
            stop_grace=self.settings.drain_seconds + 5.0,
        )

    def _keep(self, program: Program) -> Keeper:
        keeper = Keeper(program, self._write)
        self.keepers.append(keeper)
        self.state.programs[program.name] = keeper.state
        keeper.start()
        return keeper

    async def _stop_everything(self) -> None:
        """Services first, all at once; then the replicas, and the primary last."""
        for kind in ("service", "replica", "postgres"):
            await asyncio.gather(*(keeper.stop() for keeper in self.keepers if keeper.program.kind == kind))

    def _enter(self, phase: Phase, detail: str = "") -> None:
        self.state.phase, self.state.detail = phase, detail
        self._write()

    def _write(self) -> None:
        self.state.write(self.folder.stack_file)


async def _supervise(settings: StackSettings) -> int:
    supervisor = Supervisor(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.request_stop)
    return await supervisor.run()


def main() -> None:
    settings = StackSettings()
    make_state_folder(settings.state.path)
    lock = locks.try_hold(settings.state.supervisor_lock)
    if lock is None:
        sys.exit("another supervisor runs this stack")
    with lock:
        sys.exit(asyncio.run(_supervise(settings)))


if __name__ == "__main__":
    main()
