"""What every kind of signer must do, wherever its key lies; and the bad days of key services."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from chain.errors import SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.operations.add_claim import claims_typed_data
from chain.signing.envelope import read_signed
from chain.signing.gcp_kms import AccessTokens
from chain.signing.kms import ORDER
from chain.signing.port import Signer, UnsignedTransaction
from chain.signing.uri import open_signer
from tests.chain.kms import AWS_KEY, BROKEN, DENIED, GCP_KEY, THROTTLED, TOKEN, Answer, Kms

pytestmark = pytest.mark.unit

SECRET = b"\x42" * 32
ACCOUNT = Account.from_key(SECRET)
PASSWORD = "correct horse"
CLOUDS = ("aws", "gcp")
CALL = UnsignedTransaction(
    chain_id=31337,
    nonce=7,
    to=b"\x24" * 20,
    data=b"\x01\x02\x03",
    gas=100_000,
    max_fee_wei=3_000_000_000,
    tip_wei=1_000_000_000,
)
CASES = {
    "call": CALL,
    "creation": replace(CALL, to=None, data=b"\x60" * 300),
    "nothing": replace(CALL, nonce=0, data=b""),
    "large chain": replace(CALL, chain_id=2**40, nonce=2**33),
    "legacy": replace(CALL, tip_wei=None),
    "legacy creation": replace(CALL, tip_wei=None, to=None, chain_id=1),
}
CLAIM = {
    "identity": "0x" + "22" * 20,
    "topic": 1,
    "issuedAt": 1_800_000_000,
    "expiresAt": 1_900_000_000,
    "evidenceHash": b"\x33" * 32,
}

Opens = Callable[[str], Signer]


@pytest.fixture
def kms() -> Iterator[Kms]:
    with Kms(SECRET) as running:
        yield running


@pytest.fixture
def opens(kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opens:
    """Open the one key of the tests from wherever it is said to lie."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "key.json").write_text(json.dumps(Account.encrypt(SECRET, PASSWORD, "pbkdf2", 10)))
    uris = {
        "file": "file:key.json",
        "aws": f"aws-kms:{AWS_KEY}?region=eu-west-1&endpoint={kms.url}",
        "gcp": f"gcp-kms:{GCP_KEY}?endpoint={kms.url}",
    }

    def open_it(where: str) -> Signer:
        return open_signer(
            uris.get(where, where),
            directory=tmp_path,
            password=PASSWORD,
            tokens=AccessTokens(metadata_url=kms.url),
        )

    return open_it


# -- conformance: one test for every implementation ---------------------------------------------


@pytest.mark.parametrize("is_high", [False, True], ids=["low s", "high s"])
@pytest.mark.parametrize("where", ["file", *CLOUDS])
def test_signer__any_transaction__is_what_an_independent_library_makes_of_it(
    opens: Opens, kms: Kms, where: str, is_high: bool
) -> None:
    kms.is_high = is_high
    signer = opens(where)
    assert hex_of(signer.address) == ACCOUNT.address.lower()
    for name, transaction in CASES.items():
        signed = signer.sign_transaction(transaction)

        # All of them sign by RFC 6979 here, so the bytes are the same; low s, right parity.
        assert signed.raw == by_eth_account(transaction), name
        assert signed.tx_hash == keccak(signed.raw)
        assert Account.recover_transaction(signed.raw) == ACCOUNT.address, name
        assert read_signed(signed.raw) == transaction, name


@pytest.mark.parametrize("is_high", [False, True], ids=["low s", "high s"])
@pytest.mark.parametrize("where", ["file", *CLOUDS])
def test_signer__typed_data__is_recovered_to_its_address(
    opens: Opens, kms: Kms, where: str, is_high: bool
) -> None:
    kms.is_high = is_high
    claims = claims_typed_data(31337, "0x" + "11" * 20, [CLAIM])

    signature = opens(where).sign_typed_data(claims)

    message = encode_typed_data(full_message=claims)
    assert signature == bytes(ACCOUNT.sign_message(message).signature)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert signature[64] in {27, 28}


def by_eth_account(transaction: UnsignedTransaction) -> bytes:
    fields: dict[str, object] = {
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "value": 0,
        "data": transaction.data,
        "gas": transaction.gas,
    }
    if transaction.to is not None:
        fields["to"] = transaction.to
    if transaction.tip_wei is None:
        fields["gasPrice"] = transaction.max_fee_wei
    else:
        fields["type"] = 2
        fields["maxFeePerGas"] = transaction.max_fee_wei
        fields["maxPriorityFeePerGas"] = transaction.tip_wei
    return bytes(ACCOUNT.sign_transaction(fields).raw_transaction)


# -- key services on bad days ------------------------------------------------------------------


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("trouble", [THROTTLED, BROKEN], ids=["throttled", "broken"])
def test_kms__cannot_now__says_so_and_signs_later(
    opens: Opens, kms: Kms, cloud: str, trouble: dict[str, Answer]
) -> None:
    signer = opens(cloud)
    kms.troubles.extend([trouble[cloud]] * 2)
    with pytest.raises(SignerUnavailable, match=cloud):
        signer.sign_transaction(CALL)
    kms.troubles.clear()
    assert signer.sign_transaction(CALL).raw == by_eth_account(CALL)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_kms__denies__is_refused_with_its_reason(opens: Opens, kms: Kms, cloud: str) -> None:
    signer = opens(cloud)
    kms.troubles.append(DENIED[cloud])
    with pytest.raises(SignerRefused, match=r"AccessDenied|PERMISSION_DENIED"):
        signer.sign_transaction(CALL)
    assert kms.signed == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_kms__gone__is_unavailable(opens: Opens, kms: Kms, cloud: str) -> None:
    signer = opens(cloud)
    kms.__exit__()
    with pytest.raises(SignerUnavailable):
        signer.sign_transaction(CALL)


@pytest.mark.parametrize(
    "signature",
    [
        b"no signature",
        encode_dss_signature(0, 5),
        encode_dss_signature(5, ORDER),
        encode_dss_signature(12345, 67890),
    ],
    ids=["no DER", "r is zero", "s is the order", "of another message"],
)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_kms__answers_nonsense__is_refused_and_never_sent(
    opens: Opens, kms: Kms, cloud: str, signature: bytes
) -> None:
    signer = opens(cloud)
    text = base64.b64encode(signature).decode()
    kms.troubles.append((200, {"Signature": text} if cloud == "aws" else {"signature": text}))
    with pytest.raises(SignerRefused, match="signature"):
        signer.sign_transaction(CALL)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_kms__key_of_another_curve__is_refused(
    opens: Opens, kms: Kms, cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Kms(SECRET, ec.SECP256R1()) as other:
        monkeypatch.setattr(kms, "_public", other._public)
        with pytest.raises(SignerRefused, match="secp256k1"):
            opens(cloud)


def test_gcp__key_of_another_algorithm__is_refused(opens: Opens, kms: Kms) -> None:
    kms.algorithm = "EC_SIGN_P256_SHA256"
    with pytest.raises(SignerRefused, match="EC_SIGN_SECP256K1_SHA256"):
        opens("gcp")


def test_gcp__machines_token__is_asked_for_once(opens: Opens, kms: Kms) -> None:
    signer = opens("gcp")
    for _ in range(3):
        signer.sign_transaction(CALL)
    assert kms.tokens_given == 1


def test_gcp__token_of_the_settings__is_used_and_never_shown(kms: Kms, tmp_path: Path) -> None:
    tokens = AccessTokens(fixed=TOKEN, metadata_url="http://127.0.0.1:9")
    uri = f"gcp-kms:{GCP_KEY}?endpoint={kms.url}"
    signer = open_signer(uri, directory=tmp_path, password=None, tokens=tokens)
    assert signer.sign_transaction(CALL).raw == by_eth_account(CALL)
    assert TOKEN not in f"{tokens!r} {signer!r}"


def test_gcp__no_token_anywhere__is_unavailable_and_names_the_setting(tmp_path: Path) -> None:
    tokens = AccessTokens(metadata_url="http://127.0.0.1:9")
    with pytest.raises(SignerUnavailable, match="GCP_ACCESS_TOKEN"):
        open_signer(f"gcp-kms:{GCP_KEY}", directory=tmp_path, password=None, tokens=tokens)


@pytest.mark.parametrize(
    "uri",
    [
        "platform.json",
        "vault:key",
        "file:",
        "file:../platform.json",
        "file:/etc/passwd",
        "aws-kms:",
        "aws-kms:key?regoin=eu-west-1",
        "aws-kms:key?region=eu-west-1&endpoint=http://kms.example",
        "aws-kms:key?region=not a region",
        "aws-kms:alias/unknown?region=eu-west-1&endpoint=ENDPOINT",
        "gcp-kms:projects/p",
        f"gcp-kms:{GCP_KEY}?endpoint=ftp://127.0.0.1",
        f"gcp-kms:{GCP_KEY}?region=eu",
        f"gcp-kms:{GCP_KEY}0?endpoint=ENDPOINT",
    ],
)
def test_open_signer__what_names_no_key__is_refused(opens: Opens, kms: Kms, uri: str) -> None:
    with pytest.raises(SignerRefused):
        opens(uri.replace("ENDPOINT", kms.url))
