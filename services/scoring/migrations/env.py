"""Alembic's entry: this service's tables only."""

from services.scoring.tables import metadata
from shared.db.migrations import run

run(metadata)
