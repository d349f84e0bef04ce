"""What the gateway says about itself, from generation to generation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.resources import SourceFile
from gateway.serving.status import Status, reload_result
from gateway.snapshot.generations import Generation
from gateway.telemetry.reloads import ReloadResult, TenantConfiguration
from gateway.watcher.folder import Contents
from gateway.watcher.loading import Loaded, LoadSettings, load
from tests.fakes.conf import KEYED, ROOT, adopt_conf, any_tls, gateway, provider, tenant

BROKEN = "kind: ["
GOOD = adopt_conf({"acme/p.yaml": provider("a")})
STALE = adopt_conf({"acme/p.yaml": BROKEN}, GOOD)
PARTLY = adopt_conf({"acme/p.yaml": provider("a"), "other/p.yaml": BROKEN})
FAILED = adopt_conf({"acme/p.yaml": BROKEN})


def ready(generation: Generation) -> tuple[bool, list[str]]:
    status = Status()
    status.adopted(generation, 1.0)
    return status.ready()


def shown(status: Status, tenant: str | None = None) -> Any:
    """The page /config, as JSON."""
    page = status.config(tenant)
    assert page is not None
    value = page()
    return json.loads(msgspec.json.encode({**value, "tenants": dict(value["tenants"])}))  # type: ignore[call-overload]


def test_before_the_first_configuration() -> None:
    assert Status().ready() == (False, ["no configuration has been read yet"])
    assert shown(Status()) == {"problems": [], "tenants": {}}
    assert Status().config("acme") is None
    assert Status().tenants() == []


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
    page = shown(status)
    assert (page["applied"], page["appliedSeconds"]) == ("1970-01-01T00:00:12Z", 12.5)
    assert (page["stale"], page["missing"], page["warnings"]) == (["acme"], [], [])
    assert page["problems"][0].startswith("conf.d/acme/p.yaml:")
    (problem,) = page["tenants"]["acme"]["problems"]
    assert (problem["file"], problem["line"], problem["field"]) == ("conf.d/acme/p.yaml", 2, "")
    assert page["tenants"]["acme"]["routes"][0]["host"] == "a.example"


def test_what_was_rejected_is_not_applied() -> None:
    status = Status()
    status.adopted(GOOD, 1.0)
    applied = shown(status)["applied"]
    status.adopted(STALE, 1000.0)
    assert shown(status)["applied"] == applied
    assert [each.applied_at for each in status.tenants()] == [1.0, 1.0]
    status.adopted(GOOD, 2000.0)
    assert shown(status)["applied"] != applied


def test_config_of_one_tenant() -> None:
    status = Status()
    status.adopted(PARTLY, 1.0)
    whole = shown(status)["tenants"]
    for name in ("acme", "other"):
        assert shown(status, name) == {"tenants": {name: whole[name]}}
    for nobody in ("nobody", "default"):
        assert status.config(nobody) is None


class Gateway:
    """Loads one state of its files after the other, as the watcher does."""

    def __init__(self) -> None:
        self.status = Status()
        self.now = 0.0
        self._loaded: Loaded | None = None

    def reads(self, files: Mapping[str, str], **environment: str) -> None:
        """A second later: these files are adopted."""
        last = self._loaded
        sources = [
            SourceFile(f"conf.d/{path}", path.rpartition("/")[0], text.encode())
            for path, text in files.items()
        ]
        contents = Contents(files=tuple(sources), problems=(), digest="")
        settings = LoadSettings(environment, labels={}, root_namespace=ROOT, prepare_tls=any_tls)
        if last is None:
            self._loaded = load(contents, None, settings)
        else:
            self._loaded = load(contents, last.generation, settings, known=last.readings)
        self.now += 1
        self.status.adopted(self._loaded.generation, self.now)

    def tenant(self, name: str) -> tuple[str, float | None, float]:
        """Its standing, and since when it has applied and stands so."""
        page = shown(self.status, name)["tenants"][name]
        return page["standing"], page.get("appliedSeconds"), page["standingSinceSeconds"]


def test_since_when() -> None:
    """What a tenant runs on keeps its time through reloads that have nothing to do with it."""
    gateway = Gateway()
    gateway.reads({"acme/p.yaml": provider("a")})
    assert gateway.tenant("acme") == ("current", 1.0, 1.0)
    gateway.reads({"acme/p.yaml": provider("a"), "other/p.yaml": BROKEN})
    assert gateway.tenant("acme") == ("current", 1.0, 1.0)
    assert gateway.tenant("other") == ("missing", None, 2.0)
    gateway.reads({"acme/p.yaml": BROKEN, "other/p.yaml": provider("b")})
    assert gateway.tenant("acme") == ("last_good", 1.0, 3.0)
    assert gateway.tenant("other") == ("current", 3.0, 3.0)
    gateway.reads({"acme/p.yaml": BROKEN + "\n", "other/p.yaml": provider("c")})
    assert gateway.tenant("acme") == ("last_good", 1.0, 3.0)
    assert gateway.tenant("other") == ("current", 4.0, 3.0)
    gateway.reads({"acme/p.yaml": provider("z")})
    assert gateway.tenant("acme") == ("current", 5.0, 5.0)
    assert gateway.status.config("other") is None


def test_a_key_that_is_another_one_is_applied_anew() -> None:
    config = "configs: {defaultConfig: {openAIConfig: {apiKey: '${KEY}'}}}"
    files = {"acme/p.yaml": provider("a", config), "other/p.yaml": provider("b")}
    gateway = Gateway()
    gateway.reads(files, KEY="old")
    gateway.reads(files, KEY="old")
    assert gateway.tenant("acme")[1] == 1.0
    gateway.reads(files, KEY="new")
    assert gateway.tenant("acme")[1] == 3.0
    assert gateway.tenant("other")[1] == 1.0


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
    status = Status()
    status.adopted(GOOD, 4.0)
    status.adopted(generation, 5.0)
    assert status.tenants() == [
        TenantConfiguration("", successful=True, applied_at=5.0, errors=0, warnings=0),
        TenantConfiguration("acme", successful=False, applied_at=4.0, errors=1, warnings=0),
        TenantConfiguration("new", successful=False, applied_at=None, errors=1, warnings=0),
        TenantConfiguration("other", successful=True, applied_at=5.0, errors=0, warnings=1),
    ]


def test_the_gateway_document_for_the_metrics() -> None:
    status = Status()
    status.adopted(adopt_conf({"gateway.yaml": gateway("limits: {headers: many}")}), 1.0)
    assert status.tenants()[0] == TenantConfiguration(
        "", successful=False, applied_at=1.0, errors=1, warnings=0
    )


def test_a_folder_that_cannot_be_read_is_shown_and_what_runs_serves_on() -> None:
    status = Status()
    status.folder_read("conf.d cannot be read: Permission denied")
    assert status.ready() == (False, ["conf.d cannot be read: Permission denied"])
    assert shown(status)["problems"] == ["conf.d cannot be read: Permission denied"]
    status.adopted(GOOD, 1.0)
    assert status.ready() == (True, ["conf.d cannot be read: Permission denied"])
    status.folder_read("")
    assert status.ready() == (True, [])


def test_the_clients_of_a_tenant_that_was_never_good() -> None:
    """`null` would say that anybody reaches it."""
    document = tenant("acme", "clients: [{name: ci, sourceCIDRs: [10.0.0.0/8]}]")
    for files, expected in [
        ({"acme/t.yaml": document, "acme/p.yaml": BROKEN}, ["ci"]),
        ({"acme/t.yaml": tenant("acme", "{}"), "acme/p.yaml": BROKEN}, None),
    ]:
        status = Status()
        status.adopted(adopt_conf(files), 1.0)
        clients = shown(status)["tenants"]["acme"]["clients"]
        assert (clients and [client["name"] for client in clients]) == expected
    status = Status()
    status.adopted(FAILED, 1.0)
    assert "clients" not in shown(status)["tenants"]["acme"]
