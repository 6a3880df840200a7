"""The command `xyd`. Commands of the sandbox build are mounted when it is there, and absent in production."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from consent.errors import Refusal
from node import cli_check, cli_log, cli_run
from node.cli_run import CommandFailed
from node.journal.remote import Unreachable

Config = Annotated[Path, typer.Option("--config", "-c", help="TOML settings file", envvar="XYD_CONFIG")]
SANDBOX = "deploy.sandbox.commands"


class Friendly(TyperGroup):
    """What a caller can cause is said in a line, without values; only bugs show a trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ValidationError as error:
            names = sorted({".".join(map(str, each["loc"])) or str(each["msg"]) for each in error.errors()})
            raise _said(f"settings: {', '.join(names)}: wrong, missing or unknown; see deploy/node.toml") from None
        except (OSError, ValueError, httpx.HTTPError, Refusal, Unreachable, CommandFailed) as error:
            raise _said(f"{type(error).__name__}: {error}") from None


def _said(text: str) -> typer.Exit:
    typer.echo(text, err=True)
    return typer.Exit(2)


app = typer.Typer(
    cls=Friendly, help="信易贷 node: consent, gateway, journal", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(cli_run.keys, name="keys", help="Key files of the node")
app.add_typer(cli_run.enrolment, name="enrol", help="Admit banks")
app.add_typer(cli_check.catalogue, name="catalogue", help="The catalogue and the purpose templates")
app.command()(cli_run.serve)
app.command()(cli_run.migrate)
app.command()(cli_check.doctor)
app.command()(cli_log.export)
app.command()(cli_log.verify)
app.command()(cli_check.train)
app.command()(cli_check.bench)


def _mount_sandbox() -> None:
    """The sandbox build brings `demo` and `sandbox`; a production wheel does not have the folder."""
    try:
        found = importlib.util.find_spec(SANDBOX)
    except ModuleNotFoundError:
        return
    if found is not None:
        importlib.import_module(SANDBOX).mount(app)


def main() -> None:
    """Entry point."""
    _mount_sandbox()
    app()
