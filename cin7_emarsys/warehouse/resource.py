"""The warehouse as a Dagster resource; in a module of its own, since importing Dagster takes longer than most commands.

What belongs here: the resource. What does not: how the file is opened (``connections.py``).
"""

from __future__ import annotations

from typing import Any

from dagster import InitResourceContext
from dagster_duckdb import DuckDBResource
from pydantic import Field

from cin7_emarsys.warehouse.connections import Warehouse


class WarehouseResource(DuckDBResource):
    """Resource key `warehouse`: assets are given the `Warehouse`."""

    lock_wait_seconds: float = Field(default=120, description="Seconds to wait for another process to let go.")

    def create_resource(self, context: InitResourceContext) -> Any:
        return Warehouse(self.database, self.lock_wait_seconds, self.connection_config)
