"""From where a request may come: the Host it names, and the page that had a browser send it.

A program sends neither Origin nor Sec-Fetch-Site and passes. A browser sends Sec-Fetch-Site to trustworthy addresses
and Origin with whatever may have an effect, and pages can forge neither; so each of the two that is there must say
that the page is one of ours (the rule of Go's `CrossOriginProtection`, with both headers asked where both are there).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from aiohttp import hdrs, web

from nodegraph.server.errors import ApiError
from nodegraph.server.settings import Settings

_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_PORTS: Final = {"http": 80, "https": 443}


def authority(text: str) -> tuple[str, int | None] | None:
    """Read `host[:port]`; None for what is none."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match[2]) if match[2] else None
    return None if port is not None and not 0 < port < 65536 else (match[1].lower().rstrip("."), port)


def check_host(request: web.Request, settings: Settings) -> None:
    """Raise where the request was meant for another host: a name that was made to point here (DNS rebinding)."""
    named = request.headers.getall(hdrs.HOST, [])
    found = authority(named[0]) if len(named) == 1 else None
    if found is None:
        raise ApiError(400, "bad_host", "the request names no host, or one that cannot be read")
    if not host_allowed(found[0], settings):
        raise ApiError(403, "wrong_host", "this server is not known by that name; --allow-host NAME would add it")


def host_allowed(host: str, settings: Settings) -> bool:
    """Tell whether the server goes by that name: loopback, the address listened on, or a name that was allowed.

    An address cannot be made to point elsewhere, so where the server is there for other machines any address will do.
    """
    if host in {"localhost", settings.host.lower(), *(name.lower() for name in settings.hosts)}:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return address.is_loopback or not settings.loopback


def check_site(request: web.Request) -> None:
    """Raise 403 where a page of another site has the browser send the request."""
    if not (_fetch_site_ok(request) and _origin_ok(request)):
        raise ApiError(403, "cross_site", "requests from pages of other sites are refused")


def _fetch_site_ok(request: web.Request) -> bool:
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if not sites or all(site in ("same-origin", "none") for site in sites):
        return True
    return _is_link(request)


def _is_link(request: web.Request) -> bool:
    """Tell whether a person followed a link to a page: only that person sees it, and it does nothing."""
    return (
        request.method == hdrs.METH_GET
        and not request.path.startswith("/api/")
        and hdrs.UPGRADE not in request.headers
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )


def _origin_ok(request: web.Request) -> bool:
    origins = request.headers.getall(hdrs.ORIGIN, [])
    return not origins or (len(origins) == 1 and same_origin(origins[0], request.headers.getall(hdrs.HOST)))


def same_origin(origin: str, hosts: Collection[str]) -> bool:
    """Tell whether an Origin is the one that the request was sent to; `null` and whatever cannot be read are not.

    The scheme is not compared, as behind a proxy that ends TLS it is not known here; host and port are.
    """
    scheme, _, rest = origin.partition("://")
    found, asked = authority(rest), [authority(host) for host in hosts]
    if scheme not in _PORTS or found is None or len(asked) != 1 or asked[0] is None:
        return False
    default = _PORTS[scheme]
    return (found[0], found[1] or default) == (asked[0][0], asked[0][1] or default)
