"""The queue of background jobs, and how far the event stream was looked at to make them due."""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0009"
down_revision = "0008"

# The library brings the steps that its schema went through. Those up to here are this migration, whichever version is there;
# a later one takes the steps that follow.
LAST_STEP = "03.04.00_50"

# Its functions name its tables without a schema, and its triggers run in whoever's session writes.
FUNCTIONS = """
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN SELECT oid FROM pg_proc WHERE pronamespace = 'jobs'::regnamespace LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = jobs, pg_temp', function);
    END LOOP;
END
$$;
"""

# Of one key one job may wait. Where one does, it takes the place of the one that is put back, and its attempts, so that what
# fails again and again is tried later each time and not each time that somebody asks for it.
PUT_BACK = """
CREATE FUNCTION jobs.put_back(job_id bigint, run_by bigint, pause interval, attempts_made integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = jobs, pg_temp AS $$
DECLARE
    again timestamptz := clock_timestamp() + pause;
    ended procrastinate_jobs;
BEGIN
    SELECT * INTO ended FROM procrastinate_jobs
    WHERE id = job_id AND status = 'doing' AND worker_id IS NOT DISTINCT FROM run_by FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    BEGIN
        UPDATE procrastinate_jobs
        SET status = 'todo', scheduled_at = again, attempts = attempts_made, worker_id = NULL, abort_requested = false
        WHERE id = job_id;
    EXCEPTION WHEN unique_violation THEN
        UPDATE procrastinate_jobs
        SET attempts = greatest(attempts, attempts_made), scheduled_at = greatest(scheduled_at, again)
        WHERE queueing_lock = ended.queueing_lock AND status = 'todo';
        DELETE FROM procrastinate_jobs WHERE id = job_id;
    END;
    RETURN job_id;
END
$$;
COMMENT ON FUNCTION jobs.put_back IS
    'Has a running job run again after a pause, if run_by still runs it; else NULL.';

CREATE FUNCTION jobs.try_again(job_id bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = jobs, pg_temp AS $$
DECLARE
    put_aside procrastinate_jobs;
    waiting bigint;
BEGIN
    SELECT * INTO put_aside FROM procrastinate_jobs WHERE id = job_id AND status = 'failed' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    BEGIN
        UPDATE procrastinate_jobs
        SET status = 'todo', scheduled_at = NULL, attempts = 0, worker_id = NULL, abort_requested = false
        WHERE id = job_id;
        RETURN job_id;
    EXCEPTION WHEN unique_violation THEN
        DELETE FROM procrastinate_jobs WHERE id = job_id;
        UPDATE procrastinate_jobs SET scheduled_at = NULL, attempts = 0
        WHERE queueing_lock = put_aside.queueing_lock AND status = 'todo' RETURNING id INTO waiting;
        RETURN waiting;
    END;
END
$$;
COMMENT ON FUNCTION jobs.try_again IS
    'Queues a job that failed for good, from its first attempt; answers it, or the one that waits with the same key already.';
"""

SCHEDULE = """
-- Most jobs have succeeded; these are those somebody looks for.
CREATE INDEX jobs_not_done ON jobs.procrastinate_jobs (status, task_name, id) WHERE status IN ('todo', 'doing', 'failed');
-- Before a job is taken, those with the same lock are looked for: by the library's own index among all that wait.
CREATE INDEX jobs_by_lock ON jobs.procrastinate_jobs (lock) WHERE status IN ('todo', 'doing');

CREATE TABLE operations.job_cursor (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    xid       xid8    NOT NULL DEFAULT '0',
    position  integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE operations.job_cursor IS
    'One row; every event up to it has made due what it makes due. Locked by whoever queues jobs.';
INSERT INTO operations.job_cursor DEFAULT VALUES;

CREATE TABLE operations.job_timetable (
    job_type text        PRIMARY KEY,
    due_time timestamptz NOT NULL
);
COMMENT ON TABLE operations.job_timetable IS 'When a job that time makes due is queued next.';
"""

RIGHTS = """
GRANT USAGE ON SCHEMA jobs TO tally_operations;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO tally_operations;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA jobs TO tally_operations;
GRANT SELECT, UPDATE ON operations.job_cursor TO tally_operations;
GRANT SELECT, INSERT, UPDATE ON operations.job_timetable TO tally_operations;
"""


def upgrade() -> None:
    op.execute("CREATE SCHEMA jobs")
    op.execute("SET LOCAL search_path = jobs")
    for step in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
        if step.name[: len(LAST_STEP)] <= LAST_STEP:
            op.execute(step.read_text())
    op.execute("SET LOCAL search_path = DEFAULT")
    op.execute(FUNCTIONS)
    op.execute(PUT_BACK)
    op.execute(SCHEDULE)
    op.execute(RIGHTS)
