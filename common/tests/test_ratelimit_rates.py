"""Rates in the settings."""

import pytest

from common.ratelimit.rates import Rate, halve_rates, parse_rates, parse_requests_per
from config.environment import load


def test_several_rates_are_parsed() -> None:
    assert parse_rates("600/minute, 10000/HOUR") == (Rate(600, 60), Rate(10_000, 3600))
    assert parse_rates("1/second,2/day") == (Rate(1, 1), Rate(2, 86_400))


def test_off_gives_no_rates() -> None:
    assert parse_rates(" Off ") == parse_requests_per("off", "hour") == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "10/", "/minute", "10/week", "10/m", "1/minute,", "off,1/day"),
        *("0/minute", "-1/minute", "1.5/minute", "٣/day", "100001/day", "999999999/day"),
        "1/minute,2/minute",
    ],
)
def test_a_malformed_rate_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+\.$"):
        parse_rates(text)


def test_bare_numbers_are_parsed_and_limits_halved() -> None:
    assert parse_requests_per(10, "minute") == parse_requests_per("10", "minute") == (Rate(10, 60),)
    assert halve_rates((Rate(10, 60), Rate(1, 1))) == (Rate(5, 60), Rate(1, 1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_RATE_LIMIT", "many"),
        ("AUTH_RATE_LIMIT", "10"),
        ("AUTH_ACCOUNT_RATE_LIMIT", "5/fortnight"),
        ("RATE_LIMIT_PER_MINUTE", "10/minute"),
        ("RATE_LIMIT_PER_HOUR", "0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
    ],
)
def test_a_malformed_setting_stops_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"- {name}: .+[.]$"):
        load()


def test_settings_accept_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_RATE_LIMIT", "AUTH_RATE_LIMIT", "RATE_LIMIT_PER_HOUR"):
        monkeypatch.setenv(name, "off")
    env = load()
    assert env.api_rate_limit == env.auth_rate_limit == env.rate_limit_per_hour == "off"
