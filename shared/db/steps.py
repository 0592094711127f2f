"""What the steps of migrations need of Alembic: its `op` is a module, and this is the one thing asked of it."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import TextClause


class Migration(Protocol):
    """The migration that runs."""

    def execute(self, sqltext: TextClause) -> None:
        """Run one statement."""
