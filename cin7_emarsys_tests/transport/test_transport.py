"""Calls over real HTTP against a scripted vendor: what is repeated, what never is, and what an error may say."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from cin7_emarsys.cin7.client import BRANDS, BadPage, Cin7
from cin7_emarsys.rate import RateWindow
from cin7_emarsys.settings import load_settings
from cin7_emarsys.transport import (
    Answer,
    AuthFailed,
    NotJson,
    OAuth2,
    Permanent,
    PermissionMissing,
    RefusedBeforeSend,
    Transient,
    Transport,
    TransportError,
    UnknownAfterSend,
)
from cin7_emarsys_tests.transport.vendor import JSON, Reply, Vendor

KEY = "5eed5eed-0000-4000-8000-not-a-real-key"
SECRET = "worthless-secret-of-this-test"
HTML = Reply(200, "<!DOCTYPE html><html><h1>Page not found</h1></html>", {"Content-Type": "text/html"})
_THROTTLED = '[{"ErrorCode":400,"Exception":"You have reached 60 calls per 60 seconds API limit."}]'

InProject = Callable[[dict[str, str]], Path]


@contextmanager
def _transport(
    folder: Path,
    url: str,
    *,
    token: OAuth2 | None = None,
    slow_down: Callable[[Answer], float | None] | None = None,
    window: RateWindow | None = None,
) -> Iterator[Transport]:
    transport = Transport(
        "Vendor",
        url,
        window or RateWindow(folder, KEY, 1000, 1.0, ("only",)),
        headers=lambda: {"api-auth-applicationkey": KEY},
        token=token,
        throttled=lambda answer: 0.02 if answer.status in (429, 503) else None,
        slow_down=slow_down,
        timeout=10,
        back_off=0.001,
    )
    try:
        yield transport
    finally:
        transport.close()


def _get(transport: Transport, path: str = "thing", **more: object) -> Answer:
    return transport.request("GET", path, lane="only", repeatable=True, **more)  # type: ignore[arg-type]


def _send(transport: Transport, path: str = "sales-data") -> Answer:
    return transport.request("POST", path, lane="only", repeatable=False, content=b"item,quantity\n")


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _cin7(in_project: InProject, url: str) -> Iterator[Cin7]:
    in_project(
        {
            "CIN7_BASE_URL": url,
            "CIN7_ACCOUNT_ID": "an-account",
            "CIN7_APPLICATION_KEY": KEY,
            "CIN7_CALLS_PER_MINUTE": "100",
            "CIN7_WINDOW_SECONDS": "0.2",
            "EMARSYS_CLIENT_ID": "x",
            "EMARSYS_CLIENT_SECRET": "x",
            "EMARSYS_MERCHANT_ID": "x",
            "EMARSYS_SALES_TOKEN": "x",
            "FEED_USER": "x",
            "FEED_PASSWORD": "x",
        }
    )
    with Cin7(load_settings()) as cin7:
        yield cin7


# Throttles


@pytest.mark.parametrize(
    "throttle",
    [
        Reply(429, _THROTTLED, {**JSON, "Retry-After": "1 Seconds", "x-ratelimit-remaining": "0"}),
        Reply(503, _THROTTLED, JSON),
        Reply(400, _THROTTLED, JSON),
        Reply(400, "You reached 60 calls per minute API limit", {"Content-Type": "text/plain"}),
        Reply(200, _THROTTLED, JSON),
    ],
    ids=["429", "503", "400-json", "400-text", "200"],
)
def test_no_form_of_throttle_loses_the_call(in_project: InProject, throttle: Reply) -> None:
    with Vendor(throttle, throttle, Reply(body='{"Company": "A"}')) as vendor, _cin7(in_project, vendor.url) as cin7:
        assert cin7.me() == {"Company": "A"}
        assert [got.path for got in vendor.got] == ["/me"] * 3


def test_more_throttles_than_attempts_lose_nothing(tmp_path: Path) -> None:
    throttles = [Reply(429, "slow down", {})] * (Transport.attempts + 4)
    with Vendor(*throttles, Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        assert _send(transport).json() == {"ok": True}  # a refused call was not applied, so it may go again


def test_a_throttle_stops_everybody_who_shares_the_window(tmp_path: Path) -> None:
    class Waited(Exception):
        pass

    def no_sleep(_seconds: float) -> None:
        raise Waited

    window = RateWindow(tmp_path, KEY, 1000, 1.0, ("only",), sleep=no_sleep)
    with Vendor(Reply(429, "slow down", {})) as vendor, _transport(tmp_path, vendor.url, window=window) as transport:
        with pytest.raises(Waited):
            _get(transport)
        assert len(vendor.got) == 1


def test_few_calls_left_slow_everybody_down(tmp_path: Path) -> None:
    def slow_down(answer: Answer) -> float | None:
        return 30.0 if int(answer.headers.get("x-ratelimit-remaining", 99)) < 5 else None

    class Waited(Exception):
        pass

    def no_sleep(_seconds: float) -> None:
        raise Waited

    window = RateWindow(tmp_path, KEY, 1000, 1.0, ("only",), sleep=no_sleep)
    plenty, few = (Reply(headers={"X-RateLimit-Remaining": left}) for left in ("50", "3"))
    with (
        Vendor(plenty, few) as vendor,
        _transport(tmp_path, vendor.url, window=window, slow_down=slow_down) as transport,
    ):
        assert _get(transport).status == 200
        assert _get(transport).status == 200
        with pytest.raises(Waited):
            _get(transport)
        assert len(vendor.got) == 2


# Trouble


def test_a_server_error_is_repeated(tmp_path: Path) -> None:
    with Vendor(Reply(500), Reply(502), Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        assert _get(transport).json() == {"ok": True}
        assert len(vendor.got) == 3


def test_repeating_has_a_ceiling(tmp_path: Path) -> None:
    with Vendor(Reply(500, "oops")) as vendor, _transport(tmp_path, vendor.url) as transport:
        with pytest.raises(Transient, match="HTTP 500"):
            _get(transport)
        assert len(vendor.got) == Transport.attempts


def test_an_answer_after_a_write_that_does_not_refuse_it_is_unknown(tmp_path: Path) -> None:
    for status in (302, 405, 408, 409, 410, 425, 499, 500, 503):
        with Vendor(Reply(status)) as vendor, _transport(tmp_path, vendor.url) as transport:
            with pytest.raises(UnknownAfterSend) as caught:
                _send(transport)
            assert caught.value.sent
            assert len(vendor.got) == 1


def test_a_write_that_is_refused_was_not_applied(tmp_path: Path) -> None:
    for status in (400, 401, 403, 404, 413, 422):
        with Vendor(Reply(status)) as vendor, _transport(tmp_path, vendor.url) as transport:
            with pytest.raises(Permanent):
                _send(transport)
            assert len(vendor.got) == 1


def test_no_connection_is_known_to_have_sent_nothing(tmp_path: Path) -> None:
    with _transport(tmp_path, f"http://127.0.0.1:{_closed_port()}") as transport:
        for call in (_get, _send):
            with pytest.raises(RefusedBeforeSend) as caught:
                call(transport)
            assert not caught.value.sent


def test_a_reset_after_a_write_is_unknown_and_never_sent_again(tmp_path: Path) -> None:
    with Vendor(Reply(reset=True), Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        with pytest.raises(UnknownAfterSend) as caught:
            _send(transport)
        assert caught.value.sent
        assert [got.body for got in vendor.got] == [b"item,quantity\n"]


def test_a_reset_of_a_read_is_repeated(tmp_path: Path) -> None:
    with Vendor(Reply(reset=True), Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        assert _get(transport).json() == {"ok": True}
        assert len(vendor.got) == 2


def test_an_encoding_that_cannot_be_read_is_no_crash(tmp_path: Path) -> None:
    broken = Reply(headers={"Content-Encoding": "gzip"})
    with Vendor(broken, Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        assert _get(transport).json() == {"ok": True}
    with Vendor(broken, Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        with pytest.raises(UnknownAfterSend):
            _send(transport)
        assert len(vendor.got) == 1


def test_html_instead_of_json(in_project: InProject) -> None:
    with Vendor(HTML) as vendor, _cin7(in_project, vendor.url) as cin7:
        with pytest.raises(NotJson, match="not JSON"):
            cin7.me()
        assert len(vendor.got) == 3


def test_html_once_is_repeated(in_project: InProject) -> None:
    with Vendor(HTML, Reply(body='{"Company": "A"}')) as vendor, _cin7(in_project, vendor.url) as cin7:
        assert cin7.me() == {"Company": "A"}


@pytest.mark.parametrize(
    ("body", "calls"),
    [
        ('[{"ErrorCode": 500, "Exception": "An unexpected error"}]', Transport.attempts),
        ('{"ErrorCode": 404, "Exception": "Category not found."}', 1),
    ],
)
def test_an_error_in_a_200_is_no_answer(in_project: InProject, body: str, calls: int) -> None:
    with Vendor(Reply(body=body)) as vendor, _cin7(in_project, vendor.url) as cin7:
        with pytest.raises(Transient if calls > 1 else Permanent):
            cin7.me()
        assert len(vendor.got) == calls


@pytest.mark.parametrize(
    "body",
    [
        '{"Total": "many", "BrandList": []}',
        '{"Total": 1, "BrandList": {"ID": "A"}}',
        '{"Total": 1, "BrandList": "A"}',
        '{"Page": 1, "Brands": []}',
        "[]",
    ],
)
def test_a_page_of_another_shape_is_a_plain_error(in_project: InProject, body: str) -> None:
    with Vendor(Reply(body=body)) as vendor, _cin7(in_project, vendor.url) as cin7:
        with pytest.raises(BadPage, match="ref/brand"):
            list(cin7.pages(BRANDS))
        assert len(vendor.got) == 1


def test_half_an_emoji_is_replaced(tmp_path: Path) -> None:
    body = r'{"a": ["cut \ud83d", "whole \ud83d\ude00", 1], "\udc00": null}'
    with Vendor(Reply(body=body)) as vendor, _transport(tmp_path, vendor.url) as transport:
        assert _get(transport).json() == {"a": ["cut ?", "whole 😀", 1], "?": None}


def test_a_redirect_is_never_followed(tmp_path: Path) -> None:
    with Vendor() as elsewhere:
        away = Reply(302, "", {"Location": f"{elsewhere.url}/elsewhere"})
        with Vendor(away) as vendor, _transport(tmp_path, vendor.url) as transport:
            with pytest.raises(Permanent, match="redirect"):
                _get(transport)
            with pytest.raises(UnknownAfterSend):
                _send(transport)
            assert len(vendor.got) == 2
        assert elsewhere.got == []


# Credentials


def _oauth(vendor: Vendor) -> OAuth2:
    return OAuth2("Vendor", f"{vendor.url}/oauth2/token", SecretStr("client"), SecretStr(SECRET))


def _token(name: str) -> Reply:
    return Reply(body=f'{{"access_token": "{name}", "expires_in": 300}}')


def test_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    with (
        Vendor(_token("first"), _token("second")) as tokens,
        Vendor(Reply(401), Reply()) as vendor,
        _transport(tmp_path, vendor.url, token=_oauth(tokens)) as transport,
    ):
        assert _send(transport).json() == {"ok": True}
        assert [got.headers["Authorization"] for got in vendor.got] == ["Bearer first", "Bearer second"]
        assert _send(transport).status == 200
        assert len(tokens.got) == 2


def test_a_token_refused_twice_is_a_clear_error(tmp_path: Path) -> None:
    with (
        Vendor(_token("first"), _token("second")) as tokens,
        Vendor(Reply(401)) as vendor,
        _transport(tmp_path, vendor.url, token=_oauth(tokens)) as transport,
    ):
        with pytest.raises(AuthFailed, match="doctor"):
            _get(transport)
        assert len(vendor.got) == 2
        assert len(tokens.got) == 2


def test_wrong_client_credentials(tmp_path: Path) -> None:
    with (
        Vendor(Reply(401, '{"error": "invalid_client"}')) as tokens,
        Vendor() as vendor,
        _transport(tmp_path, vendor.url, token=_oauth(tokens)) as transport,
    ):
        with pytest.raises(AuthFailed) as caught:
            _send(transport)
        assert not caught.value.sent
        assert "HTTP 401 when asking for access" in str(caught.value)
        assert len(tokens.got) == 1
        assert vendor.got == []


def test_a_token_endpoint_in_trouble_is_asked_again(tmp_path: Path) -> None:
    with (
        Vendor(Reply(500, "oops"), HTML, Reply(reset=True), _token("first")) as tokens,
        Vendor() as vendor,
        _transport(tmp_path, vendor.url, token=_oauth(tokens)) as transport,
    ):
        assert _send(transport).json() == {"ok": True}
        assert len(vendor.got) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('[{"ErrorCode": 403, "Exception": "Incorrect credentials!"}]', AuthFailed),
        ('{"replyCode": 1, "replyText": "no access"}', PermissionMissing),
    ],
)
def test_a_403_says_which_of_two_things_it_is(tmp_path: Path, body: str, kind: type[TransportError]) -> None:
    with Vendor(Reply(403, body)) as vendor, _transport(tmp_path, vendor.url) as transport:
        with pytest.raises(TransportError) as caught:
            _get(transport)
        assert type(caught.value) is kind
        assert len(vendor.got) == 1


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 500])
def test_no_error_tells_a_secret_or_an_address(tmp_path: Path, status: int) -> None:
    body = (
        f'<p>{KEY} is not known, nor is jane.doe+shop@example.com; "client_secret": "{SECRET}", '
        f"Authorization: {SECRET}, token={SECRET}, bearer of {KEY}</p>"
    )
    with (
        Vendor(_token("a-token-of-this-test")) as tokens,
        Vendor(Reply(status, body + "a-token-of-this-test")) as vendor,
        _transport(tmp_path, vendor.url, token=_oauth(tokens)) as transport,
    ):
        with pytest.raises(TransportError) as caught:
            _get(transport, params={"email": "jane.doe+shop@example.com"}, check=lambda answer: answer.json())
        told = f"{caught.value} {caught.value!r} {vars(caught.value)} {caught.value.args}"
        for secret in (KEY, SECRET, "a-token-of-this-test", "jane.doe", "example.com"):
            assert secret not in told


# The vendor's clock


def test_the_vendors_clock_comes_from_its_answers(tmp_path: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    headers = {"Date": format_datetime(ahead, usegmt=True)}
    with Vendor(Reply(headers=headers), Reply(headers={})) as vendor, _transport(tmp_path, vendor.url) as transport:
        first = _get(transport)
        assert timedelta(0) <= first.at - ahead.replace(microsecond=0) < timedelta(minutes=5)
        second = _get(transport)  # without a date: the last one goes on
        assert second.at >= first.at
        assert transport.now() >= second.at


def test_the_next_client_knows_the_vendors_clock_before_it_asks(tmp_path: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=2)
    with Vendor(Reply(headers={"Date": format_datetime(ahead, usegmt=True)})) as vendor:
        with _transport(tmp_path, vendor.url) as transport:
            assert transport.ahead is None
            _get(transport)
        with _transport(tmp_path, vendor.url) as following:
            assert timedelta(0) <= following.now() - ahead.replace(microsecond=0) < timedelta(minutes=5)


def _dated(hours: float) -> Reply:
    return Reply(headers={"Date": format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)})


def test_one_answer_of_another_time_is_not_believed(tmp_path: Path) -> None:
    answers = (_dated(0), _dated(72), _dated(0), _dated(72))  # two that are odd, and neither confirmed
    with Vendor(*answers) as vendor, _transport(tmp_path, vendor.url) as transport:
        for _ in answers:
            assert abs(_get(transport).at - datetime.now(UTC)) < timedelta(minutes=5)
        assert transport.ahead == transport.window.clock()


def test_a_clock_that_moved_says_so_twice(tmp_path: Path) -> None:
    with Vendor(_dated(0), _dated(72)) as vendor, _transport(tmp_path, vendor.url) as transport:
        _get(transport)
        transport.confirm_clock(lambda: _get(transport))
        assert len(vendor.got) == 1  # nothing to confirm
        _get(transport)
        transport.confirm_clock(lambda: _get(transport))
        assert len(vendor.got) == 3
        assert transport.now() - datetime.now(UTC) > timedelta(hours=71)


@pytest.mark.parametrize("date", ["yesterday", "", "Thu, 01 Jan 2026 00:00:00 -0000", "Thu, 99 Foo 2026 00:00:00 GMT"])
def test_a_strange_date_is_no_crash(tmp_path: Path, date: str) -> None:
    with Vendor(Reply(headers={"Date": date})) as vendor, _transport(tmp_path, vendor.url) as transport:
        assert _get(transport).at.tzinfo is UTC


def test_calls_are_counted_whole(tmp_path: Path) -> None:
    with Vendor(Reply(500), Reply()) as vendor, _transport(tmp_path, vendor.url) as transport:
        _get(transport)
        _get(transport)
        assert transport.calls == len(vendor.got) == 3


def test_what_is_sent(tmp_path: Path) -> None:
    with Vendor() as vendor, _transport(tmp_path, vendor.url + "/base/v2/") as transport:
        transport.request("PUT", "/contact/", lane="only", repeatable=True, json={"a": 1}, params={"b": "ü &"})
        got = vendor.got[0]
        assert (got.method, got.path, got.body) == ("PUT", "/base/v2/contact/?b=%C3%BC+%26", b'{"a": 1}')
        assert got.headers["api-auth-applicationkey"] == KEY
        assert got.headers["Content-Type"] == "application/json"
