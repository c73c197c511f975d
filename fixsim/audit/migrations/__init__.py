"""How the audit database came to be, step by step (alembic)."""
