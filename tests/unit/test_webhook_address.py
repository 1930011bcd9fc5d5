"""Where webhooks may go: public names by https; nothing of our own network, however written."""

from __future__ import annotations

import pytest

from registry.kernel.errors import Invalid
from registry.webhook.address import check_url, is_public

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a?b=c",
        "https://hooks.example.com:8443/",
        "https://93.184.216.34/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
    ],
)
def test_check_url__public__is_taken(url: str) -> None:
    check_url(url, allow_loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https:///nothing",
        "https://",
        "hooks.example.com",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/ä",
        "https://hooks.example.com/\x00",
        "https://localhost/",
        "https://printer.local/",
        "https://vault.internal/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://10.0.0.5/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fd00::1]/",
        "https://[fe80::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://[fec0::1]/",
        "https://[::10.0.0.1]/",
        "https://[::ffff:0:10.0.0.1]/",
        "https://[5f00::1]/",
        "https://[ff0e::1]/",
        "https://[2001:db8::1]/",
        "https://[::1",
        "http://localhost:9000/",
        "http://127.0.0.1:9000/",
        "https://" + "a" * 600 + ".com/",
    ],
    ids=lambda url: url[:60].encode("ascii", "backslashreplace").decode(),
)
def test_check_url__not_public__is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="webhook_url_refused"):
        check_url(url, allow_loopback=False)


def test_check_url__own_machine_in_development__is_taken() -> None:
    check_url("http://127.0.0.1:9000/hook", allow_loopback=True)
    with pytest.raises(Invalid):
        check_url("http://10.0.0.1:9000/hook", allow_loopback=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "fe80::1%eth0", "::ffff:127.0.0.1", "10.1.2.3"])
def test_is_public__inside__is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34"])
def test_is_public__outside__is(address: str) -> None:
    assert is_public(address)
