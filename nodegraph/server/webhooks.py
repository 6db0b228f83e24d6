"""Webhooks: calls that tell others of a job's final state, to hosts that the operator lists and to no other.

A call is written to the store with the final state and stays there until it got through, so it is made at least once;
`webhook-id` is the same at each try. It is signed as the Standard Webhooks specification says: `webhook-signature` is
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; the key is what follows `whsec_` in the secret, decoded.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from nodegraph.server.errors import ApiError
from nodegraph.server.live import summary
from nodegraph.server.ring import line
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store, StoreError, Webhook

SECRET: Final = "webhooks.secret"
PREFIX: Final = "whsec_"
CALL_SECONDS, LOOK_SECONDS = 10.0, 1.0
AT_ONCE = 16
DELAYS: Final = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0, 43200.0, 86400.0)
"""Seconds after each failed try; after the last the call is given up."""
HELD_SECONDS: Final = 60.0
"""For which a call is not made again whose outcome the store does not take."""
_SMUGGLERS: Final = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "2002::/16", "2001::/32"))
"""IPv6 addresses that stand for an IPv4 address, which may be any."""
_log = logging.getLogger(__name__)


def check_webhook(url: str, settings: Settings) -> None:
    """Raise `ApiError` 422 where a webhook may not be called: its form, or a host that is not listed."""
    try:
        _allowed(url, settings.webhooks)
    except ValueError as error:
        problem = {"code": "webhook_refused", "message": str(error), "field": "webhook", "got": url[:200]}
        raise ApiError(422, "webhook_refused", str(error), problems=[problem]) from error


async def secret(store: Store) -> str:
    """Return the secret that signs this server's calls; made when it is first asked for."""
    found = await store.get(SECRET)
    if not isinstance(found, str):
        found = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        await store.put(SECRET, found)
    return found


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a call."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class Webhooks:
    """Makes the calls that the store holds. Without listed hosts it does nothing and opens nothing."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._secret = ""

    async def start(self) -> None:
        """Begin in the background."""
        if self._settings.webhooks:
            self._secret = await secret(self._store)
            self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; calls under way are made again at the next start."""
        tasks = [*([self._loop] if self._loop else []), *self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        connector = TCPConnector(resolver=PublicResolver(), use_dns_cache=False, force_close=True, limit=AT_ONCE)
        timeout = ClientTimeout(total=CALL_SECONDS)
        async with ClientSession(
            connector=connector, timeout=timeout, trust_env=False, cookie_jar=DummyCookieJar(), auto_decompress=False
        ) as session:
            while True:
                try:
                    due = await self._store.due_webhooks(time.time())
                except StoreError:
                    _log.exception("the webhooks that are due cannot be read")
                    due = []
                self._begin(session, due)
                await asyncio.sleep(LOOK_SECONDS)

    def _begin(self, session: ClientSession, due: Sequence[Webhook]) -> None:
        for webhook in due:
            if len(self._calls) >= AT_ONCE:
                return
            if webhook.id not in self._calls:
                self._calls[webhook.id] = asyncio.create_task(self._deliver(session, webhook))

    async def _deliver(self, session: ClientSession, webhook: Webhook) -> None:
        """Make a call and write down what came of it."""
        try:
            refusal = await self._call(session, webhook)
            if refusal is None:
                await self._store.webhook_done(webhook.id)
            elif refusal == "" or webhook.attempts >= len(DELAYS):
                await self._store.webhook_done(webhook.id)
                _log.warning("webhook of job %s is given up after %d tries", webhook.job.id, webhook.attempts + 1)
            else:
                await self._store.webhook_failed(webhook.id, time.time() + DELAYS[webhook.attempts])
                _log.info("webhook of job %s: %s; tried again later", webhook.job.id, refusal)
        except StoreError:
            _log.exception("what came of the webhook of job %s cannot be written", webhook.job.id)
            await asyncio.sleep(HELD_SECONDS)
        finally:
            del self._calls[webhook.id]

    async def _call(self, session: ClientSession, webhook: Webhook) -> str | None:
        """Make a call; return None where it got through, else why not, empty where trying again is of no use."""
        try:
            url = _allowed(webhook.url, self._settings.webhooks)
        except ValueError:  # listed when it was submitted, not any more
            return ""
        payload, headers = _message(webhook, self._secret)
        try:
            async with session.post(url, data=payload, headers=headers, allow_redirects=False) as response:
                status = response.status
                response.close()
        except (ClientError, OSError, TimeoutError) as error:
            return type(error).__name__
        if status == 410:  # gone: the receiver wants no more
            return ""
        return None if 200 <= status < 300 else f"answered {status}"


def _message(webhook: Webhook, secret: str) -> tuple[bytes, dict[str, str]]:
    job, now = webhook.job, int(time.time())
    data: dict[str, Any] = {**summary(job), "values": dict(job.values)}
    payload = line({"type": f"job.{job.state.value}", "timestamp": job.ended, "data": data})
    return payload, {
        "Content-Type": "application/json",
        "User-Agent": "nodegraph",
        "webhook-id": webhook.id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, webhook.id, now, payload),
    }


def _allowed(text: str, listed: Sequence[str]) -> URL:
    """Return the address to call; raise ValueError that says what is wrong with it."""
    url = URL(text)
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("expected a URL of http or https")
    if url.user is not None or url.password is not None:
        raise ValueError("a URL with a user's name or password is not taken")
    if not listed:
        raise ValueError("this server calls nobody: it was started without `--webhooks HOST`")
    if not any(_fits(url, entry) for entry in listed):
        raise ValueError(
            f"{url.host}:{url.port} is not among the hosts that this server may call (`--webhooks HOST[:PORT]`)"
        )
    return url.with_fragment(None)


def _fits(url: URL, entry: str) -> bool:
    """Tell whether an entry names the URL's host and port; one without a port means the scheme's own."""
    named = URL(f"//{entry}")
    host = (named.raw_host or "").lower().rstrip(".")
    port = named.explicit_port
    fits = url.port == port if port is not None else url.is_default_port()
    return fits and (url.raw_host or "").lower().rstrip(".") == host


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only, so that no name leads into the network the server is in.

    What it returns is what is connected to: a name that changes in between changes nothing. `localhost` means loopback.
    Addresses given as such are not resolved; they were listed by the operator.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name; raise OSError where one of them is not public."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[ResolveResult] = []
        for kind, _, proto, _, address in found:
            text = str(address[0])
            if not public(text) and not (host == "localhost" and ipaddress.ip_address(text).is_loopback):
                raise OSError(f"{host} has an address that is not public")
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            results.append(ResolveResult(hostname=host, host=text, port=port, family=kind, proto=proto, flags=flags))
        return results

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


def public(address: str) -> bool:
    """Tell whether an address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif any(ip in network for network in _SMUGGLERS):
            return False
    return ip.is_global and not ip.is_multicast
