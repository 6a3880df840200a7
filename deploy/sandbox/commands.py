"""Commands that only the sandbox build has: `xyd demo` and `xyd sandbox`.

What a command needs is imported when it runs: a serving node loads none of it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("--dir", help="The sandbox's folder")]
DEFAULT = Path("var/demo")

sandbox = typer.Typer(no_args_is_help=True)


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.add_typer(sandbox, name="sandbox", help="Play a party of the running sandbox")


def demo(
    folder: Folder = DEFAULT,
    port: Annotated[int, typer.Option(help="Port of the node")] = 8080,
    once: Annotated[bool, typer.Option("--once", help="End after the journey instead of leaving the node up")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, last line")] = False,
) -> None:
    """Play the main job: from a bank's request to a regulator's proof."""
    from deploy.sandbox import demo as journey  # noqa: PLC0415
    from deploy.sandbox.stage import StageError  # noqa: PLC0415

    try:
        summary = journey.run(folder, port, once=once, as_json=as_json)
    except StageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    if not all(step["ok"] for step in summary["steps"]):
        raise typer.Exit(1)


@sandbox.command()
def decide(
    request_uri: Annotated[str, typer.Option(help="request_uri of a pushed authorization request")],
    client_id: Annotated[str, typer.Option(help="The bank's client_id; default: the first bank")] = "",
    deny: Annotated[bool, typer.Option("--deny", help="Say no")] = False,
    drop: Annotated[list[str] | None, typer.Option(help="Untick an optional dataset (repeatable)")] = None,
    folder: Folder = DEFAULT,
) -> None:
    """Play the phone: sign in, read, sign with a software authenticator. Prints the redirect."""
    from deploy.sandbox.decide import play  # noqa: PLC0415

    parties = json.loads((folder / "parties.json").read_text(encoding="utf-8"))
    played = asyncio.run(
        play(
            parties["issuer"],
            parties["player"],
            request_uri,
            client_id or parties["bank"]["client_id"],
            deny=deny,
            drop=tuple(drop or ()),
            key_file=folder / "authenticator.json",
        )
    )
    typer.echo(played.redirect)


@sandbox.command()
def departments(
    ports: Annotated[str, typer.Option(help="tax, social insurance, utility, registration")] = "9101,9102,9103,9104",
    key: Annotated[str, typer.Option(help="The key every caller must show")] = "sandbox",
) -> None:
    """Serve the four sandbox departments alone."""
    from deploy.sandbox.departments import serve  # noqa: PLC0415
    from node.clock import utc_now  # noqa: PLC0415

    asyncio.run(serve([int(port) for port in ports.split(",")], utc_now().date(), key))
