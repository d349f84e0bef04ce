"""What is told from who has changed is what comes of judging everybody anew."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.snapshot import claims
from gateway.snapshot.generations import Generation
from tests.fakes.conf import ChangingConf, key_hash, provider, route, tenant

KEYS = ("llmgw-one", "llmgw-two")
HOSTS = ("x.example", "*.example", "*")


@st.composite
def tenants_files(draw: st.DrawFn) -> str:
    """A provider, some routes, maybe a client; and maybe something that is wrong."""
    documents = [provider("p", host="p.internal"), draw(st.sampled_from(["", "", "kind: ["]))]
    for host in draw(st.lists(st.sampled_from(HOSTS), max_size=2, unique=True)):
        documents.insert(
            1,
            route(
                f"r-{HOSTS.index(host)}", "rules: [{backendRefs: [{providerHost: p.internal}]}]", host=host
            ),
        )
    key = draw(st.sampled_from(["", *KEYS]))
    if key:
        documents.insert(1, "TENANT" + key)
    return "".join(documents)


def files_of(written: Mapping[str, str]) -> dict[str, str]:
    files = {}
    for name, text in written.items():
        for key in KEYS:
            spec = f"clients: [{{name: c, apiKeyHash: '{key_hash(key)}'}}]"
            text = text.replace("TENANT" + key, tenant(name, spec))
        files[f"{name}/all.yaml"] = text.replace("p.internal", f"p.{name}")
    return files


def outcome(generation: Generation) -> object:
    snapshot = generation.snapshot
    return (
        dict(generation.granted),
        [str(problem) for problem in generation.problems],
        {host: table.name for host, table in snapshot.anonymous.items()},
        dict(snapshot.withheld.items()),
        {name: dict(hosts.items()) for name, hosts in snapshot.withheld_from.items()},
        [snapshot.clients.by_key(key.encode(), 0.0) for key in KEYS],
        {name: state.standing for name, state in generation.tenants.items()},
    )


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["one", "two", "three"]), tenants_files(), max_size=3),
        min_size=2,
        max_size=5,
    )
)
def test_the_outcome_is_the_same(states: list[dict[str, str]]) -> None:
    conf, anew = ChangingConf(), ChangingConf()
    for written in states:
        carried_on = conf.adopt(files_of(written))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(claims, "_undisputed", lambda *arguments: None)
            judged = anew.adopt(files_of(written))
        assert outcome(carried_on) == outcome(judged)
        tables = carried_on.snapshot.tenants
        assert all(tables[table.name] is table for _, table in carried_on.snapshot.anonymous.items())


class TestSharing:
    """Where nothing has changed about who claims what, it is the very same."""

    def adopted(self, *states: Mapping[str, str]) -> list[Generation]:
        conf = ChangingConf()
        return [conf.adopt({f"{name}/all.yaml": text for name, text in files.items()}) for files in states]

    def test_another_model_moves_no_claim(self) -> None:
        config = "configs: {defaultConfig: {openAIConfig: {model: m}}}"
        first, second = self.adopted({"one": provider("a")}, {"one": provider("a", config)})
        assert second.granted is first.granted
        assert second.snapshot.anonymous.find("a.example") is second.snapshot.tenants["one"]

    def test_the_clients_of_unchanged_documents(self) -> None:
        clients = tenant("one", f"clients: [{{name: c, apiKeyHash: '{key_hash(KEYS[0])}'}}]") + provider("a")
        first, second, third = self.adopted(
            {"one": clients},
            {"one": clients, "two": provider("b")},
            {"one": clients.replace("name: c", "name: d")},
        )
        assert second.snapshot.clients is first.snapshot.clients
        known = third.snapshot.clients.by_key(KEYS[0].encode(), 0.0)
        assert known is not None
        assert known.name == "d"

    def test_what_nothing_was_written_into_is_as_it_was(self) -> None:
        first, second = self.adopted({"one": provider("a")}, {"one": provider("a")})
        assert second.snapshot.anonymous is first.snapshot.anonymous
