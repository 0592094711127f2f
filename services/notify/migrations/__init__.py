"""Alembic's migrations of notify's own database."""
