"""A key in AWS Key Management Service, of the key spec ECC_SECG_P256K1."""

from __future__ import annotations

from typing import Any

from chain.errors import SignerRefused, SignerUnavailable
from chain.signing.kms import TIMEOUT_SECONDS, KmsSigner

_BUSY = frozenset({
    "ThrottlingException",
    "TooManyRequestsException",
    "LimitExceededException",
    "KMSInternalException",
    "DependencyTimeoutException",
    "KeyUnavailableException",
    "InternalFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
})  # fmt: skip
_SERVER_ERROR = 500


class AwsKmsSigner(KmsSigner):
    """Signs with `Sign`, ECDSA_SHA_256 over a digest that is given.

    Parameters
    ----------
    key_id
        Id, ARN or alias of the key.
    region
        None: the machine's own, as the SDK finds it; with it the credentials.
    endpoint
        Another address of the service than the region's.

    Raises
    ------
    SignerRefused
        The key is unknown, forbidden to us, or of another kind.
    SignerUnavailable
        The service does not answer now.
    """

    def __init__(self, key_id: str, *, region: str | None, endpoint: str | None) -> None:
        # Imported here: it takes longer than the rest of the service, and few need it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        self._key_id = key_id
        self._lost, self._refused = BotoCoreError, ClientError
        try:
            self._client: Any = boto3.client(
                "kms",
                region_name=region,
                endpoint_url=endpoint,
                # The operation waits by itself and is tried again; its nonce is locked meanwhile.
                config=Config(
                    connect_timeout=TIMEOUT_SECONDS,
                    read_timeout=TIMEOUT_SECONDS,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise SignerRefused(f"aws-kms:{key_id} cannot be used: {error}.") from error
        answer = self._call("get_public_key", KeyId=key_id)
        super().__init__(f"aws-kms:{key_id}", answer["PublicKey"])

    def _ask(self, digest: bytes) -> bytes:
        answer = self._call(
            "sign",
            KeyId=self._key_id,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return bytes(answer["Signature"])

    def _call(self, method: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, method)(**arguments)
        except self._refused as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            said = f"aws-kms:{self._key_id} answers {code}."
            if code in _BUSY or status >= _SERVER_ERROR:
                raise SignerUnavailable(said) from error
            raise SignerRefused(said) from error
        except self._lost as error:
            raise SignerUnavailable(
                f"aws-kms:{self._key_id} cannot be asked: {type(error).__name__}."
            ) from error
