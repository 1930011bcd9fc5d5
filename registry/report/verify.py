"""Checking a report offline: its signature, its rows, and of a PDF every byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.kernel.papers import Paper, PaperRefused, check_envelope
from registry.kernel.signing import PublicKeys
from registry.report.envelope import ContentHash
from registry.report.values import cells_of

_PARTS = {"envelope", "signature", "items", "next", "header", "cells"}


def check_report(paper: Paper, keys: PublicKeys) -> list[str]:
    """Say what a report is, if it is what was signed.

    Raises
    ------
    PaperRefused
        With the reason.
    """
    envelope = paper.record["envelope"]
    check_envelope(paper, keys)
    if not paper.record.keys() <= _PARTS:
        # Unsigned, it would stand beside what is signed as if it were.
        raise PaperRefused("content_altered", "it says more than was signed")
    names = [column["name"] for column in envelope["columns"]]
    content = ContentHash.begin(paper.record.get("header", names))
    for cells in _cells(names, paper.record):
        content.add(cells)
    if (content.rows, content.hexdigest()) != (envelope["rows"], envelope["content_sha256"]):
        raise PaperRefused("content_altered", "its rows are not those that were signed")
    return list(_told(envelope))


def _cells(names: Sequence[str], record: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    if "cells" in record:
        yield from record["cells"]
        return
    for item in record["items"]:
        if item.keys() != set(names):
            raise PaperRefused("content_altered", "a row has other columns than were signed")
        yield cells_of(names, item)


def _told(envelope: Mapping[str, Any]) -> Iterator[str]:
    block = envelope["block"]
    extent = "whole" if envelope["is_whole"] else "one page of it"
    yield f"report {envelope['report']} {envelope['title']}: {envelope['rows']} rows, {extent}"
    yield f"as of {envelope['as_of']}, as known at {envelope['known_at']}"
    if block is not None:
        yield f"block {block['chain']} {block['number']} {block['hash']}, {block['finality']}"
    yield f"made {envelope['made_at']}, content sha256 {envelope['content_sha256']}"
    yield f"signed by key {envelope['key']}"
