"""The settings as a Dagster resource; in a module of its own, since importing Dagster takes longer than most commands.

What belongs here: the resource. What does not: a setting (``settings.py``).
"""

from __future__ import annotations

from dagster import ConfigurableResource

from cin7_emarsys.settings import Settings, load_settings


class SettingsResource(ConfigurableResource[None]):
    """The settings as a Dagster resource, read when a run starts, not when the definitions are imported."""

    def load(self) -> Settings:
        """Raises `SettingsError`."""
        return load_settings()
