"""Alembic's way in: this service's tables, the house's way of running."""

from services.assignment.tables import metadata
from shared.db.migrations import run

run(metadata)
