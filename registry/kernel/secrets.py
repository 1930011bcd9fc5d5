"""Secrets of the embedded service, made once and kept in the data folder.

Production passes each of them as a setting and never reads this file.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet
from pydantic import SecretStr

from registry.kernel.settings import Settings


def with_embedded_secrets(settings: Settings) -> Settings:
    """Fill the secrets that `settings` leaves out; production leaves none out."""
    if settings.is_production:
        return settings
    stored = _load_or_create(settings.data_dir / "secrets.json")
    missing = {
        name: SecretStr(value) for name, value in stored.items() if getattr(settings, name) is None
    }
    return settings.model_copy(update=missing)


def _load_or_create(path: Path) -> dict[str, str]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = {
            "pii_key": Fernet.generate_key().decode(),
            "pii_index_key": Fernet.generate_key().decode(),
            "token_key": secrets.token_urlsafe(48),
            "payment_webhook_secret": f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "signer_password": secrets.token_urlsafe(32),
        }
        # Linked into place whole: a second program never reads half of it, or replaces it.
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(fresh), "utf-8")
        # Another program may have been first: then its secrets are the ones to read.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    secrets_of_this_data: dict[str, str] = json.loads(path.read_text("utf-8"))
    # Folders made before the look-up key stood apart: people are found by the last sealing key.
    oldest_key = secrets_of_this_data["pii_key"].split(",")[-1].strip()
    return {"pii_index_key": oldest_key} | secrets_of_this_data
