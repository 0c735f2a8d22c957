"""Settings: complete ones load, and every fault is named at once with a good value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cin7_emarsys.merchant import Schedules, SettingsError, load_merchant
from cin7_emarsys.settings import load_settings
from cin7_emarsys_tests.conftest import law

Enter = Callable[[dict[str, str]], Path]
GOOD = {
    "CIN7_ACCOUNT_ID": "11111111-0000-0000-0000-000000000000",
    "CIN7_APPLICATION_KEY": "22222222-0000-0000-0000-000000000000",
    "EMARSYS_CLIENT_ID": "client",
    "EMARSYS_CLIENT_SECRET": "very-secret-value",
    "EMARSYS_MERCHANT_ID": "0123456789ABCDEF",
    "EMARSYS_SALES_TOKEN": "very-secret-token",
    "FEED_USER": "emarsys",
    "FEED_PASSWORD": "very-secret-password",
}


def test_complete_settings_load_and_secrets_do_not_show(in_project: Enter) -> None:
    state = in_project(GOOD)
    settings = load_settings()
    assert settings.cin7.base_url == "https://inventory.dearsystems.com/ExternalApi/v2"
    assert settings.cin7.calls_per_minute == 50
    assert settings.paths.landing == state / "landing"
    assert "very-secret" not in repr(vars(settings)) + repr(settings.emarsys) + repr(settings.feed)


def test_an_account_of_the_other_edition_needs_no_upload_and_no_feed(in_project: Enter) -> None:
    classic = ("EMARSYS_MERCHANT_ID", "EMARSYS_SALES_TOKEN", "FEED_USER", "FEED_PASSWORD")
    in_project({name: value for name, value in GOOD.items() if name not in classic})
    with pytest.raises(SettingsError, match="EMARSYS_SALES_TOKEN is missing"):
        load_settings()
    text = 'currency = "AUD"\n[availability]\nsellable_locations = ["Main"]\n[emarsys]\nedition = "engagement_cloud"\n'
    Path("cloud.toml").write_text(f'{text}engagement_cloud = {{business_area = "AU"}}\n')
    Path(".env").write_text("MERCHANT_TOML=cloud.toml\n")
    with pytest.MonkeyPatch.context() as changed:
        changed.delenv("MERCHANT_TOML")
        assert load_settings().merchant.emarsys.edition == "engagement_cloud"


def test_every_fault_is_named_at_once_with_a_good_value(in_project: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    in_project({name: value for name, value in GOOD.items() if name not in ("CIN7_ACCOUNT_ID", "FEED_PASSWORD")})
    monkeypatch.setenv("EMARSYS_BASE_URL", "http://api.emarsys.net/api")
    monkeypatch.setenv("CIN7_CALLS_PER_MINUTE", "fast")
    broken = Path("broken.toml").absolute()
    broken.write_text('[availability]\nsellable_location = ["Main Warehouse"]\n[prices]\ntier = 11\n')
    monkeypatch.setenv("MERCHANT_TOML", str(broken))
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    for named in (
        "CIN7_ACCOUNT_ID is missing",
        "FEED_PASSWORD is missing",
        "EMARSYS_BASE_URL must be an https address",
        "CIN7_CALLS_PER_MINUTE",
        "availability.sellable_locations",
        "availability.sellable_location ",
        "prices.tier",
        "a good value",
    ):
        assert named in text, named
    assert "very-secret" not in text


def test_a_rule_over_several_settings_does_not_wait_for_the_other_faults(
    in_project: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_project({name: value for name, value in GOOD.items() if name != "FEED_PASSWORD"})
    monkeypatch.setenv("CIN7_CALLS_PER_MINUTE", "100")
    monkeypatch.setenv("ALERT_URLS", "night=slack://a/b/c, night=mailto://example.com")
    broken = Path("broken.toml").absolute()
    broken.write_text("[availability]\nsellable_locations = []\n[emarsys]\nedition = 'engagement_cloud'\n")
    monkeypatch.setenv("MERCHANT_TOML", str(broken))
    with pytest.raises(SettingsError) as refused:
        load_settings()
    for named in (
        "FEED_PASSWORD is missing",
        "CIN7_CALLS_PER_MINUTE",
        "ALERT_URLS has more than one address named night",
        "availability.sellable_locations",
        "currency",
        "business_area",
    ):
        assert named in str(refused.value), named


def test_the_vendors_limit_cannot_be_exceeded_at_the_real_host(
    in_project: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_project(GOOD)
    monkeypatch.setenv("CIN7_CALLS_PER_MINUTE", "61")
    with pytest.raises(SettingsError, match="60 calls in 60 seconds"):
        load_settings()
    monkeypatch.setenv("CIN7_BASE_URL", "http://127.0.0.1:8701/ExternalApi/v2")
    assert load_settings().cin7.calls_per_minute == 61


def test_a_running_sandbox_is_found_only_where_nothing_is_configured(
    in_project: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = in_project({})
    state.mkdir()
    (state / "sandbox.env").write_text("\n".join(f"{name}={value}" for name, value in GOOD.items()))
    assert load_settings().emarsys.merchant_id == GOOD["EMARSYS_MERCHANT_ID"]
    monkeypatch.setenv("CIN7_ACCOUNT_ID", "mine")
    with pytest.raises(SettingsError):
        load_settings()


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ("[[availability.holds]]\nname='x'\nsku='A'\nunits=1\nfrom=2026-01-01\n", "for_price_tier"),
        ("[[availability.buffers]]\nunits=1\npercent=2\n", "either units or percent"),
        ("[emarsys]\nsales_header=['item','price']\n", "must be the columns"),
        ("[[contacts.field_map]]\nattribute='ltv'\nstring_id='optin'\n", "cannot be mapped"),
        ("[catalogue]\nlink_template='https://shop.example.com/'\n", "link_template"),
        ("armed = 'perhaps'\n", "armed"),
        ("armd = true\n", "did you mean armed"),
        ("[prices]\nowners = ['me']\n", "prices.owners .*did you mean owner[?]"),
        ("[schedules]\nstock = '*/15 * * *'\n", "schedules.stock"),
        ("[schedules]\nnightly = '@nightly'\n", "schedules.nightly"),
        ("[orders]\nrevenue_charges = ['gift (wrap']\n", "orders.revenue_charges"),
        ("[orders]\nrevenue_charges = ['(?=gift)wrap']\n", "orders.revenue_charges"),
        ("[alerts]\nheartbeat_url = 'watch.example.com/ping'\n", "alerts.heartbeat_url"),
        ("armed = '\xff'\n", "valid TOML"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, policy: str, named: str) -> None:
    file = tmp_path / "merchant.toml"
    head, table = ("", policy) if policy.startswith("[") else (policy, "")
    file.write_text(f"{head}[availability]\nsellable_locations = ['Main Warehouse']\n{table}", encoding="latin-1")
    with pytest.raises(SettingsError, match=named):
        load_merchant(file)


NUMBER = st.integers(0, 70).map(str)
PART = st.one_of(NUMBER, st.just("*"), st.from_regex(r"(\*|\d\d?-\d\d?)/\d\d?", fullmatch=True))
FIELD = st.lists(PART, min_size=1, max_size=2).map(",".join)


@law(50)
@given(st.lists(FIELD, min_size=4, max_size=6).map(" ".join))
def test_no_schedule_is_taken_that_dagster_refuses(cron: str) -> None:
    try:
        Schedules(stock=cron)
    except ValidationError:
        return
    assert is_valid_cron_schedule(cron)
