"""`milkiyat verify`: check a paper that the register handed out, with the file and a key alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from registry.kernel.papers import Paper, PaperRefused
from registry.kernel.sealed_pdf import attachment_of
from registry.kernel.signing import PublicKeyMalformed, PublicKeys
from registry.report import envelope as reports
from registry.report.csv_file import read_csv
from registry.report.verify import check_report

CHECKS: Mapping[str, Callable[[Paper, PublicKeys], list[str]]] = {reports.FORM: check_report}
"""By what a paper says it is. A check raises `PaperRefused`, or says what the paper is."""

_console = Console(stderr=True)


def add_verify(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("verify")
    def verify(
        file: Annotated[Path, typer.Argument(help="A report: JSON, CSV or PDF")],
        key: Annotated[
            str,
            typer.Option(
                "--key", help="A file with the answer of /v1/public_keys, or the x of one key"
            ),
        ],
    ) -> None:
        """Check offline that FILE is, unaltered, what the register signed."""
        try:
            told = verify_paper(file.read_bytes(), _keys(key))
        except OSError as error:
            raise _failure(f"{error.filename} cannot be read: {error.strerror}.") from error
        except PublicKeyMalformed as error:
            raise _failure(f"--key {key} is no Ed25519 public key, nor a file of some.") from error
        except PaperRefused as refusal:
            raise _failure(f"{file} is refused ({refusal.reason}): {refusal}.") from refusal
        for line in told:
            typer.echo(line)


def verify_paper(content: bytes, keys: PublicKeys) -> list[str]:
    """Say what a paper is, line by line.

    Raises
    ------
    PaperRefused
        With the reason.
    """
    try:
        paper = _read(content)
        check = CHECKS.get(paper.form)
        if check is None:
            raise PaperRefused("form_unknown", f"this program knows no {paper.form}")
        return check(paper, keys)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Whatever somebody made of it: it is not as we write papers.
        raise PaperRefused("unreadable", "it is no paper of this register") from error


def _read(content: bytes) -> Paper:
    if content.startswith(b"%PDF-"):
        attached = attachment_of(content)
        if attached is None:
            raise PaperRefused("unreadable", "the PDF does not carry the one record of a paper")
        return Paper(_json(attached), content)
    if content.lstrip().startswith(b"{"):
        return Paper(_json(content))
    return Paper(read_csv(content))


def _json(content: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(content, object_pairs_hook=_once)
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) < len(pairs):
        # Which of two a person sees is a matter of their program.
        raise ValueError("a name stands twice")
    return said


def _keys(named: str) -> PublicKeys:
    try:
        return PublicKeys.read(named)
    except PublicKeyMalformed:
        return PublicKeys.read(Path(named).read_text("utf-8"))


def _failure(sentence: str) -> typer.Exit:
    _console.print(f"milkiyat: {sentence}", highlight=False, soft_wrap=True)
    return typer.Exit(1)
