"""Papers in an S3-compatible store: the same port as the folder, outside of the registry."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

from registry.document.store import (
    CHUNK_BYTES,
    DocumentCorrupted,
    DocumentStore,
    FolderStore,
    StoreUnreachable,
    write_hashed,
)
from registry.kernel.settings import Settings

SPOOL_BYTES = 1024 * 1024


class S3Store:
    """A bucket whose objects are named by the SHA-256 of their bytes.

    An object is written only where there is none. Stores that know no conditional writes write
    the same bytes again, which is as good.
    """

    def __init__(self, settings: Settings) -> None:
        # Imported here: it takes longer than the rest of the service, and few need it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        assert settings.document_store is not None
        secret = settings.s3_secret_access_key
        bucket, _, prefix = settings.document_store.removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, prefix.rstrip("/")
        self._errors, self._refused = (BotoCoreError, ClientError), ClientError
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                retries={"max_attempts": 3, "mode": "standard"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def put(self, chunks: Iterable[bytes]) -> bytes:
        # The name is known at the end only; what is spooled is sealed already.
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            digest = write_hashed(chunks, cast("BinaryIO", spool))
            try:
                self._write_once(spool, self._object(digest))
            except self._errors as error:
                raise self._unreachable(error) from error
        return digest

    def _write_once(self, spool: Any, target: dict[str, str]) -> None:
        spool.seek(0)
        try:
            self._client.put_object(Body=spool, IfNoneMatch="*", **target)
        except self._refused as error:
            code = self._code(error)
            if code == "NotImplemented":
                spool.seek(0)
                self._client.put_object(Body=spool, **target)
            elif code != "PreconditionFailed":
                raise

    def open(self, digest: bytes) -> BinaryIO:
        try:
            body = self._client.get_object(**self._object(digest))["Body"]
            spool = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115
            seen = write_hashed(body.iter_chunks(CHUNK_BYTES), cast("BinaryIO", spool))
        except self._errors as error:
            if isinstance(error, self._refused) and self._code(error) == "NoSuchKey":
                raise DocumentCorrupted(digest) from error
            raise self._unreachable(error) from error
        if seen != digest:
            spool.close()
            raise DocumentCorrupted(digest)
        spool.seek(0)
        return cast("BinaryIO", spool)

    def remove(self, digest: bytes) -> None:
        try:
            self._client.delete_object(**self._object(digest))
        except self._errors as error:
            raise self._unreachable(error) from error

    def check(self) -> None:
        probe = self._object(hashlib.sha256(b"").digest())
        try:
            self._client.head_bucket(Bucket=self._bucket)
            # The empty blob, which no sealed paper is.
            self._client.put_object(Body=b"", **probe)
            self._client.delete_object(**probe)
        except self._errors as error:
            raise self._unreachable(error) from error

    def _object(self, digest: bytes) -> dict[str, str]:
        name = digest.hex()
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{name}".lstrip("/")}

    @staticmethod
    def _code(error: Any) -> str:
        return str(error.response.get("Error", {}).get("Code", "unknown"))

    def _unreachable(self, error: Exception) -> StoreUnreachable:
        named = isinstance(error, self._refused)
        reason = self._code(error) if named else type(error).__name__
        return StoreUnreachable(
            f"The bucket {self._bucket} of DOCUMENT_STORE does not answer or refuses us: {reason}."
        )


def open_store(settings: Settings) -> DocumentStore:
    """Give the store that the settings name; a bucket must answer now.

    Raises
    ------
    StoreUnreachable
    """
    if settings.document_store is None:
        return FolderStore(settings.data_dir / "documents")
    store = S3Store(settings)
    store.check()
    return store
