"""What an address typed by a person may lead to: public machines, on ports where web servers are.

A feed's address is asked by our server, from inside our network: whoever types one, or redirects one, could
make it read the cloud's metadata service, an admin page of the intranet or this installation's own database.
So the network addresses that a host name stands for are checked, every one, and the connection goes to a
checked one, not to the name: a name that means something else a moment later (DNS rebinding) changes nothing.
`digest.sources.http` does this for every connection, each hop of a redirect included.

What is allowed is named, not what is forbidden: of IPv6 only the range that is given out to networks
(2000::/3), of IPv4 everything but the registered special blocks. Addresses that carry an IPv4 address within
them are judged by that one, or refused.
Sources: https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
# Below 1024 other services live than the web's; above, blogs do run on 8080 or 4000. Ports above 1024 that
# belong to services which would take a request for something else are those that browsers refuse
# (https://fetch.spec.whatwg.org/#port-blocking) and those of common databases and caches.
_FIRST_FREE_PORT = 1024
_REFUSED_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6679, 6697, 10080}
    | set(range(6665, 6670))
    | {1433, 1521, 2375, 2376, 2379, 3306, 5432, 5672, 6379, 9042, 9200, 11211, 27017}
)

_NO_PUBLIC_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own, and 100.100.100.200, a cloud's metadata
        "127.0.0.0/8",  # this machine
        "168.63.129.16/32",  # a cloud's own service on a public number
        "169.254.0.0/16",  # this link; 169.254.169.254 is most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols, and a cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GIVEN_OUT_IPV6 = IPv6Network("2000::/3")
_NO_PUBLIC_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocols; Teredo, which hides an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which hides an IPv4 address
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # the last 32 bits are the IPv4 address that is really reached


class NotPublic(ValueError):
    """An address that people may not send us to. The message says why, to follow "its address": is …"""


def check(url: str) -> None:
    """Refuse what no feed's address looks like, before anything is looked up. Raises NotPublic."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise NotPublic("cannot be read") from error
    if parts.scheme.lower() not in DEFAULT_PORTS:
        raise NotPublic("is neither http nor https")
    if not host:
        raise NotPublic("names no host")
    if parts.username is not None or parts.password is not None:
        raise NotPublic("holds a name or a password")
    if port is None or port == DEFAULT_PORTS[parts.scheme.lower()]:
        return
    if port not in DEFAULT_PORTS.values() and (port < _FIRST_FREE_PORT or port in _REFUSED_PORTS):
        raise NotPublic(f"names port {port}, which is not one of the web's")


def check_network(address: str) -> None:
    """Refuse a network address, as a name look-up gives it, that is not public. Raises NotPublic."""
    if why := _why_not(address):
        raise NotPublic(f"leads to {address}, {why}")


def is_trusted(url: str, hosts: Sequence[str]) -> bool:
    """Whether the operator has excepted this host: `hosts` are names, or names with a port."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    shown = f"[{host}]" if ":" in host else host
    port = port or DEFAULT_PORTS.get(parts.scheme.lower())
    trusted = {one.strip().lower() for one in hosts} - {""}
    return bool(host) and bool(trusted & {host, shown, f"{shown}:{port}"})


def _why_not(text: str) -> str:
    if "%" in text:
        return "an address of one link only"
    try:
        address = ip_address(text)
    except ValueError:
        return "which is no network address"
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None:
            is_public = address in _GIVEN_OUT_IPV6 and not any(address in block for block in _NO_PUBLIC_IPV6)
            return "" if is_public else "which is not on the public internet"
        address = inner
    is_public = not any(address in block for block in _NO_PUBLIC_IPV4)
    return "" if is_public else "which is not on the public internet"
