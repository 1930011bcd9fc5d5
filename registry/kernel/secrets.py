"""Secrets of the embedded service, made once and kept in the data folder.

Production passes each of them as a setting and never reads this file.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from registry.kernel.settings import Settings

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


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
    derived = {
        "pii_index_key": oldest_key,
        "session_key": _session_key(secrets_of_this_data["token_key"]),
        "report_key": _report_key(secrets_of_this_data["token_key"]),
        # Made with the others, it would be missing in folders that are older.
        "custody_password": _custody_password(secrets_of_this_data["signer_password"]),
    }
    return derived | secrets_of_this_data


def _custody_password(signer_password: str) -> str:
    said = b"milkiyat-custody:" + signer_password.encode()
    return base64.urlsafe_b64encode(hashlib.sha256(said).digest()).decode()


def _session_key(token_key: str) -> str:
    """Derive the key of access tokens: so older folders have one, and all programs the same."""
    digest = hashlib.sha512(b"milkiyat-session-key:" + token_key.encode()).digest()
    key = ec.derive_private_key(int.from_bytes(digest) % (_P256_ORDER - 1) + 1, ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()


def _report_key(token_key: str) -> str:
    """Derive the key of reports, for the same reasons."""
    seed = hashlib.sha256(b"milkiyat-report-key:" + token_key.encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes(seed)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(der).decode()
