"""Run by alembic: one transaction a version, on the connection that `libs.data.migrate` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    transaction_per_migration=True,
    version_table_schema="operations",
    version_table="schema_revision",
)
with context.begin_transaction():
    context.run_migrations()
