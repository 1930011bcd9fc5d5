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


KEY_SPEC = "ECC_SECG_P256K1"
_ALIAS_TAKEN = "AlreadyExistsException"
_UNKNOWN = "NotFoundException"


class _Refusal(SignerRefused):
    """The service refuses; `code` is its own name for why."""

    def __init__(self, said: str, code: str) -> None:
        super().__init__(said)
        self.code = code


class _Service:
    """The key service, as the one who asks for one key sees it."""

    def __init__(self, name: str, *, region: str | None, endpoint: str | None) -> None:
        # Imported here: it takes longer than the rest of the service, and few need it.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        self._name = name
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
            raise SignerRefused(f"{name} cannot be used: {error}.") from error

    def call(self, method: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, method)(**arguments)
        except self._refused as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            said = f"{self._name} answers {code}."
            if code in _BUSY or status >= _SERVER_ERROR:
                raise SignerUnavailable(said) from error
            raise _Refusal(said, code) from error
        except self._lost as error:
            raise SignerUnavailable(
                f"{self._name} cannot be asked: {type(error).__name__}."
            ) from error


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
        self._key_id = key_id
        self._service = _Service(f"aws-kms:{key_id}", region=region, endpoint=endpoint)
        answer = self._service.call("get_public_key", KeyId=key_id)
        super().__init__(f"aws-kms:{key_id}", answer["PublicKey"])

    def _ask(self, digest: bytes) -> bytes:
        answer = self._service.call(
            "sign",
            KeyId=self._key_id,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return bytes(answer["Signature"])


def make_aws_key(name: str, *, region: str | None, endpoint: str | None) -> str:
    """Make a key under the alias of this name, unless it has one, and give the alias.

    Killed between the key and its alias, it leaves a key that nobody uses: it is tagged
    ``milkiyat:name`` and has no alias.

    Raises
    ------
    SignerRefused, SignerUnavailable
    """
    alias = f"alias/milkiyat-{name}"
    service = _Service(f"aws-kms:{alias}", region=region, endpoint=endpoint)
    try:
        service.call("get_public_key", KeyId=alias)
    except _Refusal as refusal:
        if refusal.code != _UNKNOWN:
            raise
    else:
        return alias
    made = service.call(
        "create_key",
        KeySpec=KEY_SPEC,
        KeyUsage="SIGN_VERIFY",
        Description="Custodial wallet of Milkiyat",
        Tags=[{"TagKey": "milkiyat:name", "TagValue": name}],
    )
    try:
        service.call("create_alias", AliasName=alias, TargetKeyId=made["KeyMetadata"]["KeyId"])
    except _Refusal as refusal:
        # Another maker was first: the alias, and so the wallet, is of its key.
        if refusal.code != _ALIAS_TAKEN:
            raise
    return alias
