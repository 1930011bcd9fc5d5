"""Where a webhook may go: to the public Internet by https, and nowhere inside.

The name is looked up anew for each delivery, and the connection is made to the very address that
was judged (`api.webhooks.posting`): a name that means something else a moment later gains nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from registry.kernel.errors import Invalid
from registry.kernel.settings import LOOPBACK

MAX_URL_LENGTH = 500
_GLOBAL = ip_network("2000::/3")
"""All that is given out of IPv6 (RFC 4291); Python calls more than that global."""
_INSIDE = (".local", ".internal", ".localhost", ".home.arpa", ".lan")


def check_url(url: str, *, allow_loopback: bool) -> None:
    """Refuse an address that no delivery could go to.

    Parameters
    ----------
    allow_loopback
        Whether plain http to this machine is taken, as in development.

    Raises
    ------
    Invalid
        ``webhook_url_refused``.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _refused("It cannot be read as a URL.") from None
    if not host or not url.isascii() or not url.isprintable() or len(url) > MAX_URL_LENGTH:
        raise _refused("It is no plain URL with a host.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused("It names a user, a password or a fragment.")
    if allow_loopback and is_own_machine(parts):
        return
    if parts.scheme != "https":
        raise _refused("Deliveries go by https only.")
    if host in LOOPBACK or host.endswith(_INSIDE) or "." not in host.strip("."):
        if not _is_public_literal(host):
            raise _refused("Its host is no public one.")
        return
    if not _is_public_literal(host, otherwise=True):
        raise _refused("Its host is no public one.")


def is_own_machine(parts: SplitResult) -> bool:
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def is_public(address: str) -> bool:
    """Tell whether an IP address is of the public Internet."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found not in _GLOBAL or found.sixtofour or found.teredo:
            return False
    return found.is_global and not found.is_multicast


def _is_public_literal(host: str, *, otherwise: bool = False) -> bool:
    try:
        return is_public(host)
    except ValueError:
        return otherwise  # a name, which is looked up when something is sent


def _refused(why: str) -> Invalid:
    return Invalid(
        "webhook_url_refused",
        f"Nothing can be sent to this URL. {why}",
        field="/url",
        remedy="Give an https URL with a public host name, without a user and a fragment.",
    )
