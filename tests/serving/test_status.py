"""What the gateway says about itself, from generation to generation."""

from __future__ import annotations

import msgspec

from gateway.serving.status import Status, reload_result, tenant_configurations
from gateway.snapshot.adopting import Generation
from gateway.telemetry.metrics import ReloadResult, TenantConfiguration
from tests.fakes.conf import KEYED, adopt_conf, gateway, provider

BROKEN = "kind: ["
GOOD = adopt_conf({"acme/p.yaml": provider("a")})
STALE = adopt_conf({"acme/p.yaml": BROKEN}, GOOD)
PARTLY = adopt_conf({"acme/p.yaml": provider("a"), "other/p.yaml": BROKEN})
FAILED = adopt_conf({"acme/p.yaml": BROKEN})


def ready(generation: Generation) -> tuple[bool, list[str]]:
    status = Status()
    status.adopted(generation, 1.0)
    return status.ready()


def test_before_the_first_configuration() -> None:
    assert Status().ready() == (False, ["no configuration has been read yet"])
    assert Status().config() == {"problems": [], "tenants": {}}


def test_while_it_stops() -> None:
    status = Status()
    status.adopted(GOOD, 1.0)
    status.draining = True
    assert status.ready() == (False, ["the gateway is stopping"])


def test_ready_once_anything_is_served() -> None:
    assert ready(GOOD) == (True, [])
    for generation in (STALE, PARTLY):
        serves, problems = ready(generation)
        assert serves
        assert len(problems) == 1
    assert not ready(FAILED)[0]
    assert ready(FAILED)[1]


def test_warnings_are_no_reasons() -> None:
    generation = adopt_conf(provider("a", f"{KEYED}\nendpoint: {{tls: {{insecureSkipVerify: true}}}}"))
    assert ready(generation) == (True, [])


def test_config_shows_tables_and_problems() -> None:
    status = Status()
    status.adopted(STALE, 12.5)
    shown = status.config()
    assert (shown["adopted_at"], shown["stale"], shown["missing"]) == (12.5, ["acme"], [])
    problems, warnings = shown["problems"], shown["warnings"]
    assert isinstance(problems, list)
    assert problems[0].startswith("conf.d/acme/p.yaml:")
    assert warnings == []
    assert b"a.example" in msgspec.json.encode(shown)


def test_how_a_reload_went() -> None:
    assert reload_result(GOOD) is ReloadResult.APPLIED
    assert reload_result(adopt_conf({})) is ReloadResult.APPLIED
    assert reload_result(PARTLY) is ReloadResult.PARTLY_APPLIED
    assert reload_result(STALE) is ReloadResult.REJECTED
    assert reload_result(FAILED) is ReloadResult.REJECTED
    moved_on = adopt_conf({"acme/p.yaml": BROKEN, "other/p.yaml": provider("b")}, GOOD)
    assert reload_result(moved_on) is ReloadResult.PARTLY_APPLIED


def test_a_gateway_document_that_is_refused_is_not_applied() -> None:
    files = {"gateway.yaml": gateway("limits: {headers: many}"), "acme/p.yaml": provider("a")}
    assert reload_result(adopt_conf(files)) is ReloadResult.PARTLY_APPLIED


def test_every_tenant_for_the_metrics() -> None:
    generation = adopt_conf(
        {
            "acme/p.yaml": BROKEN,
            "new/p.yaml": BROKEN,
            "other/p.yaml": provider("b", "endpoint: {tls: {insecureSkipVerify: true}}"),
        },
        GOOD,
    )
    assert tenant_configurations(generation, 5.0) == [
        TenantConfiguration("acme", successful=False, compiled_at=5.0, errors=1, warnings=0),
        TenantConfiguration("new", successful=False, compiled_at=5.0, errors=1, warnings=0),
        TenantConfiguration("other", successful=True, compiled_at=5.0, errors=0, warnings=1),
    ]


def test_a_folder_that_cannot_be_read_is_shown_and_what_runs_serves_on() -> None:
    status = Status()
    status.folder_read("conf.d cannot be read: Permission denied")
    assert status.ready() == (False, ["conf.d cannot be read: Permission denied"])
    assert status.config()["problems"] == ["conf.d cannot be read: Permission denied"]
    status.adopted(GOOD, 1.0)
    assert status.ready() == (True, ["conf.d cannot be read: Permission denied"])
    status.folder_read("")
    assert status.ready() == (True, [])
