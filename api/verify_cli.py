"""`milkiyat verify`: check a paper that the register handed out, with the file and a key alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.certificate_checks import check_on_chain, check_with_api, check_with_database
from chain.errors import ChainError
from registry.certificate import verify as certificates
from registry.kernel.db import Database
from registry.kernel.papers import Paper, PaperRefused
from registry.kernel.sealed_pdf import attachment_of
from registry.kernel.signing import PublicKeyMalformed, PublicKeys
from registry.report import envelope as reports
from registry.report.csv_file import read_csv
from registry.report.verify import check_pages, check_report

CHECKS: Mapping[str, Callable[[Paper, PublicKeys], list[str]]] = {
    **dict.fromkeys(reports.FORMS, check_report),
    **dict.fromkeys(certificates.FORMS, certificates.check_certificate),
}
"""By what a paper says it is. A check raises `PaperRefused`, or says what the paper is."""

_console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a certificate beside its file; None, or False, for what is not."""

    rpc_url: str | None
    contract: str | None
    api: str | None
    database: bool

    def answer(self, paper: Paper, open_database: Callable[[], Database]) -> list[str]:
        """Ask it, and say what was answered.

        Raises
        ------
        PaperRefused, ChainError
        """
        if not (self.rpc_url or self.api or self.database):
            return []
        if paper.form not in certificates.FORMS:
            raise PaperRefused("form_wrong", "only a certificate has a root, and may be superseded")
        said = []
        if self.rpc_url:
            said += check_on_chain(paper.record, self.rpc_url, self.contract)
        if self.api:
            said += check_with_api(paper.record, self.api)
        if self.database:
            said += check_with_database(paper.record, open_database())
        return said


def add_verify(app: typer.Typer, open_database: Callable[[], Database]) -> None:
    """Add the command.

    Parameters
    ----------
    open_database
        Reaches the database of the settings.
    """

    @app.command("verify")
    def verify(
        *,
        files: Annotated[
            list[Path],
            typer.Argument(
                metavar="FILE...",
                help="A report or a certificate: JSON, CSV or PDF; or all pages of one report",
            ),
        ],
        key: Annotated[
            str,
            typer.Option(
                "--key", help="A file with the answer of /v1/public_keys, or the x of one key"
            ),
        ],
        rpc_url: Annotated[
            str | None,
            typer.Option("--rpc-url", help="Ask this node for the root of a certificate's proof"),
        ] = None,
        contract: Annotated[
            str | None,
            typer.Option("--contract", help="With --rpc-url: the one contract that is believed"),
        ] = None,
        api: Annotated[
            str | None,
            typer.Option("--api", help="Ask this register whether a certificate still holds"),
        ] = None,
        database: Annotated[
            bool, typer.Option("--database", help="Ask the database of the settings instead")
        ] = False,
    ) -> None:
        """Check offline that FILE is, unaltered, what the register signed.

        Of several files, which are pages of one report, also that they join and are the whole
        of it. Of a certificate the proof is checked too, up to the root that it names. Only with
        --rpc-url, --api or --database is anybody asked.
        """
        asked = Asked(rpc_url, contract, api, database)
        told, papers, named = list[str](), list[Paper](), ""
        try:
            for named in map(str, files):
                content = Path(named).read_bytes()
                told = verify_paper(content, _keys(key))
                papers.append(read_paper(content))
                told += asked.answer(papers[-1], open_database)
            if len(papers) > 1:
                named = "This set of pages"
                told = check_pages(papers)
        except OSError as error:
            raise _failure(f"{error.filename} cannot be read: {error.strerror}.") from error
        except PublicKeyMalformed as error:
            raise _failure(f"--key {key} is no Ed25519 public key, nor a file of some.") from error
        except ChainError as error:
            raise _failure(f"--rpc-url: {error}") from error
        except PaperRefused as refusal:
            raise _failure(f"{named} is refused ({refusal.reason}): {refusal}.") from refusal
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
        paper = read_paper(content)
        check = CHECKS.get(paper.form)
        if check is None:
            raise PaperRefused("form_unknown", f"this program knows no {paper.form}")
        return check(paper, keys)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Whatever somebody made of it: it is not as we write papers.
        raise PaperRefused("unreadable", "it is no paper of this register") from error


def read_paper(content: bytes) -> Paper:
    """Read a paper from a file; nothing of it is believed yet."""
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
