"""The story of an asset for investors, by its sale or by itself, and its pictures."""

from __future__ import annotations

import base64
from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse

from api.deps import ReadSessionDep, StoreDep, VaultDep
from api.routes.router import resource_router
from api.schemas.stories import StoryRead
from registry.story import service as stories

router = resource_router("stories")


@router.get("/offerings/{offering_id}/story")
def get_offering_story(offering_id: UUID, session: ReadSessionDep) -> StoryRead:
    """Read what a sale sells fractions of: place, pictures, papers, value, title and wrapper."""
    return StoryRead.of(stories.story_of_offering(session, offering_id))


@router.get("/assets/{asset_id}/story")
def get_asset_story(asset_id: UUID, session: ReadSessionDep) -> StoryRead:
    """Read the story of an asset whose fractions are, or were, on sale."""
    return StoryRead.of(stories.story_of_asset(session, asset_id))


@router.get("/assets/{asset_id}/pictures/{document_id}", response_class=Response)
def get_asset_picture(
    asset_id: UUID,
    document_id: UUID,
    session: ReadSessionDep,
    vault: VaultDep,
    store: StoreDep,
) -> Response:
    """Take a picture of the story, checked against its SHA-256."""
    picture, content = stories.open_picture(session, vault, store, asset_id, document_id)
    headers = {
        "Content-Disposition": f'inline; filename="{picture.id}"',
        "Content-Length": str(picture.size_bytes),
        # Nothing in them is to be run, whoever opens them; `api.answer_headers` does the rest.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{picture.sha256.hex()}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(picture.sha256).decode()}:",
        "Cache-Control": "private, max-age=3600",
    }
    return StreamingResponse(content, media_type=picture.media_type, headers=headers)
