"""The command `xyd`. Commands of the sandbox build are mounted when it is there, and absent in production."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from node import cli_check, cli_log, cli_run

Config = Annotated[Path, typer.Option("--config", "-c", help="TOML settings file", envvar="XYD_CONFIG")]
SANDBOX = "deploy.sandbox.commands"

app = typer.Typer(help="信易贷 node: consent, gateway, journal", no_args_is_help=True, pretty_exceptions_enable=False)
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
