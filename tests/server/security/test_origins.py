"""Which hosts the server goes by, and which pages' requests it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.errors import ApiError
from nodegraph.server.security.origins import authority, check_host, check_site, host_allowed, same_origin
from nodegraph.server.settings import Settings

HOME = Settings(Path("data"))
ABROAD = Settings(Path("data"), host="0.0.0.0", hosts=("pictures.example.org",))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("localhost", ("localhost", None)),
        ("LocalHost.:80", ("localhost", 80)),
        ("[::1]:8188", ("[::1]", 8188)),
        ("127.0.0.1:99999", None),
        ("127.0.0.1:0", None),
        ("127.0.0.1:", None),
        ("[::1", None),
        ("a b", None),
        ("user@host", None),
        ("", None),
        ("host/path", None),
    ],
)
def test_an_authority_is_a_host_and_perhaps_a_port(text: str, read: tuple[str, int | None] | None) -> None:
    assert authority(text) == read


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "[::1]"])
def test_a_server_on_loopback_goes_by_loopbacks_names(host: str) -> None:
    assert host_allowed(host, HOME)


@pytest.mark.parametrize(
    "host", ["evil.com", "127.0.0.1.nip.io", "192.168.1.2", "localhost.evil.com", "0x7f.1", "2130706433"]
)
def test_a_server_on_loopback_goes_by_no_other_name(host: str) -> None:
    assert not host_allowed(host, HOME)


def test_a_server_for_others_goes_by_any_address_and_the_names_allowed() -> None:
    assert host_allowed("192.168.1.2", ABROAD)
    assert host_allowed("pictures.example.org", ABROAD)
    assert not host_allowed("evil.com", ABROAD)


@pytest.mark.parametrize(("host", "status"), [("evil.com", 403), ("", 400), ("a b", 400)])
def test_a_request_for_another_host_is_refused(host: str, status: int) -> None:
    with pytest.raises(ApiError) as caught:
        check_host(make_mocked_request("GET", "/", headers={"Host": host}), HOME)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:8188", "127.0.0.1:8188", True),
        ("https://pictures.example.org", "pictures.example.org", True),
        ("http://localhost:80", "localhost", True),
        ("http://127.0.0.1:8189", "127.0.0.1:8188", False),
        ("http://localhost:8188", "127.0.0.1:8188", False),
        ("http://127.0.0.1:99999", "127.0.0.1:8188", False),
        ("http://[::1", "127.0.0.1:8188", False),
        ("null", "127.0.0.1:8188", False),
        ("", "127.0.0.1:8188", False),
        ("file://", "127.0.0.1:8188", False),
        ("http://127.0.0.1:8188/", "127.0.0.1:8188", False),
        ("http://127.0.0.1:8188@evil.com", "127.0.0.1:8188", False),
        ("chrome-extension://127.0.0.1:8188", "127.0.0.1:8188", False),
        ("http://" + "a" * 8000, "127.0.0.1:8188", False),
    ],
)
def test_an_origin_is_ours_when_host_and_port_are(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, [host]) is same


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_origin_breaks_the_check(origin: str, host: str) -> None:
    assert same_origin(origin, [host]) in (True, False)


def passes(path: str = "/api/v1/jobs", method: str = "GET", **headers: str) -> bool:
    sent = {"Host": "127.0.0.1:8188", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        check_site(make_mocked_request(method, path, headers=sent))
    except ApiError as error:
        return error.status != 403
    return True


def test_programs_pass() -> None:
    assert passes(method="POST")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "nonsense"])
def test_requests_from_other_sites_do_not_pass_whatever_their_method(site: str, method: str) -> None:
    assert not passes(method=method, Sec_Fetch_Site=site)


def test_our_own_pages_pass() -> None:
    assert passes(method="POST", Sec_Fetch_Site="same-origin", Origin="http://127.0.0.1:8188")
    assert passes(Sec_Fetch_Site="none")


def test_both_headers_must_agree() -> None:
    assert not passes(method="POST", Sec_Fetch_Site="same-origin", Origin="http://evil.com")
    assert not passes(method="POST", Sec_Fetch_Site="cross-site", Origin="http://127.0.0.1:8188")


def test_a_link_from_elsewhere_leads_to_a_page_but_to_nothing_else() -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert passes("/login?code=x", **link)
    assert not passes("/api/v1/outputs/x", **link)
    assert not passes("/login", method="POST", **link)
    assert not passes("/login", **{**link, "Sec_Fetch_Dest": "iframe"})
    assert not passes("/", **{**link, "Upgrade": "websocket"})
