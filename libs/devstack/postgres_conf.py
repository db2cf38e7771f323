"""The settings of the embedded Postgres: durable, and sized for a development machine with two cores."""

from collections.abc import Mapping

DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}

TUNED: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path is limited to about 100 bytes; a checkout's is not
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than any of these short statements
    # Write-ahead log: few checkpoints, so that a hot page is not written whole again and again.
    "wal_level": "replica",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    "max_slot_wal_keep_size": "2GB",  # a replica that never comes back must not fill the disk
    "hot_standby": "on",
    "hot_standby_feedback": "on",
    # Hot rows leave a dead version per update: clean up early, and without long pauses.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
    # What an engineer wants to see.
    "track_io_timing": "on",
    "log_lock_waits": "on",
    "log_checkpoints": "on",
    "log_min_duration_statement": "1s",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "cluster_name": "tally",
}

# Loopback only, and whoever is on this machine is trusted: development, not production.
HOST_RULES = """\
# TYPE  DATABASE     USER  ADDRESS       METHOD
host    all          all   127.0.0.1/32  trust
host    replication  all   127.0.0.1/32  trust
"""


def render(settings: Mapping[str, str]) -> str:
    """The text of `postgresql.conf`; `local.conf` beside it, if there is one, has the last word."""
    lines = ["# Written at every start. Put settings of your own into local.conf beside this file."]
    for name, value in settings.items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    lines.append("include_if_exists = 'local.conf'")
    return "\n".join(lines) + "\n"
