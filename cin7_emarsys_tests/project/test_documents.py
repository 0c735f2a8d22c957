"""The documents say what the program does: every command, setting and job, and the other way round."""

from __future__ import annotations

import re
import tomllib
from typing import get_args

import typer.main
from pydantic import BaseModel

from cin7_emarsys.cli import app
from cin7_emarsys.merchant import Merchant, load_merchant
from cin7_emarsys.operations.jobs import DESCRIPTIONS
from cin7_emarsys_tests.conftest import PROJECT


def _text(name: str) -> str:
    return (PROJECT / name).read_text()


def test_every_command_and_option_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    documented = set(re.findall(r"^\| `([a-z-]+)[ `]", _text("docs/commands.md"), re.MULTILINE))
    assert set(commands) <= documented
    for name, command in commands.items():
        assert command.help, name
        for parameter in command.params:
            shown = getattr(parameter, "hidden", False) or parameter.param_type_name == "argument"
            assert shown or getattr(parameter, "help", None), (name, parameter.name)


def test_every_job_is_documented() -> None:
    documented = set(re.findall(r"^\| `([a-z]+)` \|", _text("docs/commands.md"), re.MULTILINE))
    assert set(DESCRIPTIONS) <= documented


def test_every_variable_stands_in_the_example_and_the_other_way_round() -> None:
    from cin7_emarsys import settings

    known = set(settings._EXAMPLES)
    listed = set(re.findall(r"^([A-Z_0-9]+)=", _text(".env.example"), re.MULTILINE))
    assert listed <= known
    assert known - listed == {"CIN7_WINDOW_SECONDS", "EMARSYS_WINDOW_SECONDS"}, "for sandboxes only"


def test_the_example_policy_is_valid_and_names_every_section() -> None:
    load_merchant(PROJECT / "merchant.toml")
    written = tomllib.loads(_text("merchant.toml"))
    text = _text("merchant.toml")
    for name in Merchant.model_fields:
        assert name in written or name in text, name


def test_the_readme_names_the_two_commands_that_need_nothing_else() -> None:
    readme = _text("README.md")
    assert "make demo" in readme and "make test" in readme


def test_no_committed_text_names_an_index_or_a_path_of_a_machine() -> None:
    for name in ("requirements.lock", "pyproject.toml", "Makefile", "README.md", "dagster.yaml"):
        assert not re.search(r"--(extra-)?index-url|file://|/home/|/root/", _text(name)), name


def test_every_check_and_sensor_is_documented_and_the_other_way_round() -> None:
    from cin7_emarsys.definitions import defs
    from cin7_emarsys.operations import exceptions
    from cin7_emarsys.views.exceptions import document

    repository = defs.get_repository_def()
    checks = {key.name for key in repository.asset_graph.asset_check_keys}
    text = _text("docs/checks.md")
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert checks == documented == set(exceptions.classes())
    table = document(exceptions.classes().values())
    assert table in text, f"put this table into docs/checks.md:\n{table}"
    assert all(f"`{sensor.name}`" in text for sensor in repository.sensor_defs)


def test_documents_that_are_made_from_the_program_are_up_to_date() -> None:
    from cin7_emarsys.views.documents import DOCUMENTS

    for name, made in DOCUMENTS.items():
        assert _text(f"docs/{name}") == made(), f"run `make docs`: docs/{name} is not what the program says"


def _settings(model: type[BaseModel]) -> set[str]:
    """Names of all settings, nested ones included."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= _settings(part)
    return found


def test_every_setting_stands_in_the_example_with_its_name() -> None:
    text = _text("merchant.toml")
    assert sorted(name for name in _settings(Merchant) if not re.search(rf"\b{name}\b", text)) == []


def test_every_subcommand_is_documented() -> None:
    text = _text("docs/commands.md")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for part in getattr(command, "commands", {}):
            assert re.search(rf"{name}[^`]*\b{part}\b", text) or part == "statement", (name, part)


def test_the_handbook_opens_with_the_five_questions_and_each_place_exists() -> None:
    text = _text("docs/README.md")
    opening = text.split("\n\n")[2]
    assert opening.count("? |") == 5 and opening.count("\n") == 1 + 5
    for file in (PROJECT / "docs").glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", file.read_text()):
            assert link.startswith("http") or (file.parent / link).exists(), (file.name, link)
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for named in re.findall(
        r"`cin7-emarsys ([a-z-]+)", "".join(_text(f"docs/{name}.md") for name in ("README", "operations", "engineers"))
    ):
        assert named in commands, named


def test_every_alert_has_its_line_in_the_handbook() -> None:
    """What sensors say stands in words of the handbook, and so does every role that owns an exception."""
    from cin7_emarsys.operations import exceptions

    text = _text("docs/operations.md")
    for begins in (
        "CRITICAL",
        "WARNING",
        "is not up to date",
        "failed",
        "fails",
        "did not take the message",
        "heartbeat_url",
    ):
        assert begins in text, begins
    assert all(f"*{each.owner}*" in text for each in exceptions.classes().values())
