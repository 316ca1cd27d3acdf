"""The command ``bitgoeul crds``: the CustomResourceDefinitions as YAML, for kubectl or into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from bitgoeul.api.crd import render_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.errors import UserError


@click.command()
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write one file for each kind into DIR (made if missing) and print nothing.",
)
def crds(output_dir: Path | None) -> None:
    """Print the CustomResourceDefinitions: bitgoeul crds | kubectl apply -f -"""
    if output_dir is None:
        click.echo("---\n".join(render_crd(kind) for kind in KINDS), nl=False)
        return
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            (output_dir / kind.file_name).write_text(render_crd(kind), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot write {error.filename}: {error.strerror}; name a folder that you may write to"
        ) from error
