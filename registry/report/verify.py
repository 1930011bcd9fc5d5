"""Checking a report offline: its signature, its rows, and of a PDF every byte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry.kernel.papers import Paper, PaperRefused, check_envelope
from registry.kernel.signing import PublicKeys
from registry.report.envelope import ContentHash
from registry.report.values import cells_of

_SIGNED = {"envelope", "signature"}
_OF_JSON = _SIGNED | {"items"}
_OF_CSV = _SIGNED | {"header", "cells"}
_OF_ONE_QUESTION = ("report", "parameters", "as_of", "known_at", "revealed", "columns")
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,400}")


def check_report(paper: Paper, keys: PublicKeys) -> list[str]:
    """Say what a report is, if it is what was signed.

    Raises
    ------
    PaperRefused
        With the reason.
    """
    envelope = paper.record["envelope"]
    check_envelope(paper, keys)
    _require_nothing_else(paper.record)
    names = [column["name"] for column in envelope["columns"]]
    content = ContentHash.begin(paper.record.get("header", names))
    for cells in _cells(names, paper.record):
        content.add(cells)
    if (content.rows, content.hexdigest()) != (envelope["rows"], envelope["content_sha256"]):
        raise PaperRefused("content_altered", "its rows are not those that were signed")
    return list(_told(envelope))


def check_pages(papers: Sequence[Paper]) -> list[str]:
    """Say what pages are together that `check_report` has found to be what was signed.

    They may come in any order.

    Raises
    ------
    PaperRefused
        ``form_wrong``, ``pages_do_not_join``.
    """
    envelopes = [paper.record["envelope"] for paper in papers]
    _require_one_question(envelopes)
    pages = _in_order(envelopes)
    first, block = pages[0], pages[0]["block"]
    rows = sum(page["rows"] for page in pages)
    said = f"report {first['report']} {first['title']}: {rows} rows on {len(pages)} pages, whole"
    told = [said, f"as of {first['as_of']}, as known at {first['known_at']}"]
    if block is not None:
        finality = ", ".join(sorted({page["block"]["finality"] for page in pages}))
        told.append(f"block {block['chain']} {block['number']} {block['hash']}, {finality}")
    return [*told, f"signed by key {', '.join(sorted({page['key'] for page in pages}))}"]


def _require_one_question(envelopes: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what does not ask the same, of the same moment, of the same block."""
    if any("follows_sha256" not in envelope for envelope in envelopes):
        raise PaperRefused("form_wrong", "one is no page that says behind what it begins")
    for name in _OF_ONE_QUESTION:
        if any(envelope[name] != envelopes[0][name] for envelope in envelopes):
            raise PaperRefused("pages_do_not_join", f"they differ in their {name}")
    # How final it is may have changed from one page to the next.
    if len({envelope["block"] and envelope["block"]["hash"] for envelope in envelopes}) > 1:
        raise PaperRefused("pages_do_not_join", "they speak of different blocks")


def _in_order(envelopes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    firsts = [envelope for envelope in envelopes if envelope["is_first"]]
    later = {
        envelope["follows_sha256"]: envelope for envelope in envelopes if not envelope["is_first"]
    }
    if not firsts:
        raise PaperRefused("pages_do_not_join", "the first page is not there")
    if len(firsts) + len(later) < len(envelopes) or len(firsts) > 1:
        raise PaperRefused("pages_do_not_join", "a page is there twice")
    pages = firsts
    while not pages[-1]["is_last"]:
        following = later.pop(pages[-1]["last_sha256"], None)
        if following is None:
            rows = sum(page["rows"] for page in pages)
            raise PaperRefused("pages_do_not_join", f"what follows row {rows} is not there")
        pages.append(following)
    if later:
        raise PaperRefused("pages_do_not_join", "a page is there that follows none of the others")
    return pages


def _require_nothing_else(record: Mapping[str, Any]) -> None:
    """Refuse what would stand beside the signed as if it were: a text, or rows of another format.

    Of two sets of rows one would be checked, and the other one read.
    """
    parts = record.keys() - {"next"}
    if parts != _OF_JSON and record.keys() != _OF_CSV:
        raise PaperRefused("content_altered", "it says more, or less, than was signed")
    # The way to the next page is not signed: it may say where that is, and nothing else.
    following = record.get("next")
    if following is not None and not (
        isinstance(following, str)
        and _CURSOR.fullmatch(following)
        and not record["envelope"]["is_last"]
    ):
        raise PaperRefused("content_altered", "its next page is none")


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
