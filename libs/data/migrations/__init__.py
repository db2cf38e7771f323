"""The schema's history. Each version is plain SQL inside alembic's shell; see docs/migrations.md."""
