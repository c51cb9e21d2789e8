"""`/proc/<pid>/net/route`: which subnets are reached through which interface."""

import ipaddress
from collections.abc import Iterator

from watchd.kernel.parse.formats import Malformed, Odd, refuse, understood

Route = tuple[str, ipaddress.IPv4Network]


def routes(data: bytes, odd: Odd = refuse) -> list[Route]:
    """Parse `net/route`: interfaces and the subnets that they are in; routes by way of a gateway are left out."""
    return [route for found in understood(_route, data.splitlines()[1:], odd) for route in found]


def _route(line: bytes) -> list[Route]:
    fields = line.split()
    try:
        destination, gateway, mask = (bytes.fromhex(fields[place].decode())[::-1] for place in (1, 2, 7))
        subnet = ipaddress.IPv4Network((destination, str(ipaddress.IPv4Address(mask))))
    except (ValueError, IndexError):
        raise Malformed(f"not a line of net/route: {line[:80]!r}") from None
    return [(fields[0].decode(errors="replace"), subnet)] if not any(gateway) else []


def interfaces_of(found: list[Route], addresses: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each interface with the network whose address (by name, IPv4) is in its subnet."""
    for network, address in addresses.items():
        for interface, subnet in found:
            if address and ipaddress.IPv4Address(address) in subnet:
                yield interface, network
                break
