"""Runs the migrations on the connection it is handed, inside the caller's transaction."""

from alembic import context

from fixsim.audit.tables import SCHEMA

context.configure(connection=context.config.attributes["connection"], version_table_schema=SCHEMA)
context.run_migrations()
