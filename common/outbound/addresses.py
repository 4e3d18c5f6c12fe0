"""Which addresses are public, by an explicit list of those that are not.

`ipaddress.is_global` is not enough: before Python 3.13 it accepts addresses that lead to private
ones, such as NAT64 and 6to4. The networks are those of IANA's special-purpose registries.
"""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

DENIED_NETWORKS: tuple[IPv4Network | IPv6Network, ...] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by the customers of a provider (CGNAT)
            "127.0.0.0/8",  # this machine
            "168.63.129.16/32",  # the platform of Azure, from each of its machines
            "169.254.0.0/16",  # link-local, and the metadata of clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            # All but 2000::/3, the only global unicast: loopback, IPv4-mapped, NAT64
            # (64:ff9b::/96), unique local (fc00::/7), link-local (fe80::/10), multicast.
            "::/3",
            "4000::/2",
            "8000::/1",
            "2001::/23",  # IETF protocol assignments, with Teredo
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which contains an IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(text: str) -> bool:
    """Return whether an IP address, with or without a zone, is a public one."""
    address = ip_address(text)
    return not any(address in network for network in DENIED_NETWORKS)
