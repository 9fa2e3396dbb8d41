"""Which addresses people may send us to."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources.guard import NotPublic, check, check_network, is_trusted


class TestCheckNetwork:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",  # metadata of most clouds
            "100.100.100.200",  # metadata, inside a carrier's range
            "100.64.0.1",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2001::1",  # Teredo
            "2001:db8::1",
            "2002:7f00:1::",  # 6to4
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::1%eth0",
            "2606:4700::1%eth0",
            "fec0::1",
            "ff02::1",
            "nonsense",
            "",
        ],
    )
    def test_refuses_what_is_not_on_the_public_internet(self, address: str) -> None:
        with pytest.raises(NotPublic, match="leads to"):
            check_network(address)

    @pytest.mark.parametrize(
        "address",
        [
            "8.8.8.8",
            "93.184.215.14",
            "172.32.0.1",
            "2606:4700::6810:84e5",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ],
    )
    def test_takes_what_is(self, address: str) -> None:
        check_network(address)

    @given(st.ip_addresses())
    def test_takes_nothing_that_python_calls_private(self, address: object) -> None:
        try:
            check_network(str(address))
        except NotPublic:
            return
        found = ip_address(str(address))
        found = getattr(found, "ipv4_mapped", None) or found
        assert found.is_global
        assert not any((found.is_multicast, found.is_link_local, found.is_loopback))


class TestCheck:
    @pytest.mark.parametrize(
        ("address", "problem"),
        [
            ("ftp://lab.example/feed", "neither http nor https"),
            ("file:///etc/passwd", "neither http nor https"),
            ("javascript:alert(1)", "neither http nor https"),
            ("//lab.example/feed", "neither http nor https"),
            ("http:///feed", "no host"),
            ("https://user@lab.example/feed", "name or a password"),
            ("https://lab.example:22/feed", "port 22"),
            ("https://lab.example:0/feed", "port 0"),
            ("https://lab.example:6379/feed", "port 6379"),
            ("https://lab.example:6667/feed", "port 6667"),
            ("https://lab.example:99999/feed", "cannot be read"),
            ("https://[bad/feed", "cannot be read"),
        ],
    )
    def test_refuses_what_no_feed_has(self, address: str, problem: str) -> None:
        with pytest.raises(NotPublic, match=problem):
            check(address)

    @pytest.mark.parametrize(
        "address",
        [
            "https://lab.example/feed.xml",
            "http://lab.example:80/",
            "http://lab.example:443/",
            "HTTPS://Lab.example:8443/",
            "http://blog.example:4000/atom",
        ],
    )
    def test_takes_what_feeds_have(self, address: str) -> None:
        check(address)


class TestIsTrusted:
    @pytest.mark.parametrize(
        ("address", "hosts", "expected"),
        [
            ("http://feeds.intranet/a", ["feeds.intranet"], True),
            ("http://FEEDS.intranet:8080/a", ["Feeds.Intranet"], True),
            ("http://feeds.intranet:8080/a", ["feeds.intranet:8080"], True),
            ("http://feeds.intranet/a", ["feeds.intranet:80"], True),
            ("http://feeds.intranet:8081/a", ["feeds.intranet:8080"], False),
            ("http://evil.example/feeds.intranet", ["feeds.intranet"], False),
            ("http://feeds.intranet@evil.example/", ["feeds.intranet"], False),
            ("http://feeds.intranet.evil.example/", ["feeds.intranet"], False),
            ("http://[::1]:8000/", ["[::1]:8000"], True),
            ("http://[::1]:8000/", ["::1"], True),
            ("http://[bad", ["[bad"], False),
            ("nonsense", [""], False),
        ],
    )
    def test_compares_host_and_port(self, address: str, hosts: list[str], expected: bool) -> None:
        assert is_trusted(address, hosts) is expected
