"""Why a command did not do what it was asked; in a module of its own, since ``runs.py`` imports Dagster."""

from __future__ import annotations


class CannotRun(Exception):
    """The command cannot start; the text says why and what to do."""


class NotKnown(Exception):
    """There is nothing of that name in the warehouse; the text says what was looked for and what to do."""
