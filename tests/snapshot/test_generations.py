"""Any edits by several tenants: what runs is what a fresh gateway would make of everybody's last good files."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.resources import SourceFile, read
from gateway.resources.reading import NO_READINGS
from gateway.snapshot.adopting import adopt
from gateway.snapshot.generations import Generation
from gateway.snapshot.written import Surroundings
from tests.fakes.conf import ROOT, any_tls, no_such_file, provider, route, tenant

TENANTS = ("one", "two", "three")
NAMES = ("a", "b")
FILES = ("p.yaml", "q.yaml")

Table = Mapping[str, list[tuple[str, list[tuple[str, str, str]]]]]
"""By host: each rule and its backends' owner, host and model."""


@frozen
class File:
    """What a tenant may write into a file."""

    providers: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    """Name, audience and model; its host tells the owner."""
    routes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Host and the hosts of the providers that it names."""
    broken: str = ""
    """What else stands there."""

    def text(self, owner: str) -> str:
        documents = [
            provider(
                name,
                f"exportTo: [{', '.join(audience)}]\n"
                f"configs: {{defaultConfig: {{openAIConfig: {{model: {model}}}}}}}",
                host=f"{name}.{owner}",
            )
            for name, audience, model in self.providers
        ]
        for number, (host, named) in enumerate(self.routes):
            references = ", ".join(f"{{providerHost: {each}, weight: 1}}" for each in named)
            documents.append(
                route(f"r{number}-{host}", f"rules: [{{name: all, backendRefs: [{references}]}}]", host=host)
            )
        return "".join(documents) + self.broken


hosts_of_providers = st.sampled_from([f"{name}.{owner}" for name in NAMES for owner in TENANTS] + ["nowhere"])
audiences = st.lists(st.sampled_from([*TENANTS, '"*"']), max_size=2, unique=True).map(tuple)
files = st.builds(
    File,
    providers=st.lists(
        st.tuples(st.sampled_from(NAMES), audiences, st.sampled_from(["m", "n"])),
        max_size=2,
        unique_by=lambda each: each[0],
    ).map(tuple),
    routes=st.lists(
        st.tuples(
            st.sampled_from(["x", "y", "*"]),
            st.lists(hosts_of_providers, min_size=1, max_size=2, unique=True).map(tuple),
        ),
        max_size=2,
        unique_by=lambda each: each[0],
    ).map(tuple),
    broken=st.sampled_from(["", "", "", "---\nkind: [", provider("broken", "hots: 1")]),
)


def table_of(generation: Generation, name: str) -> Table:
    return {
        host: [
            (
                each.name,
                [(backend.owner, backend.provider_host, backend.model or "") for backend in each.backends],
            )
            for each in table.rules
        ]
        for host, table in generation.snapshot.tenants[name].routes.items()
    }


class Edits(RuleBasedStateMachine):
    """Every tenant is identified, so that no two of them claim a host; clashes have tests of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[tuple[str, str], File] = {}
        self.good: dict[str, dict[tuple[str, str], File]] = {}
        """What each tenant had when it was last current."""
        self.readings = NO_READINGS
        self.generation: Generation | None = None
        self.load()

    def load(self) -> None:
        self.generation, self.readings = self.loaded(self.files, self.generation, self.readings)
        for name in TENANTS:
            state = self.generation.tenants.get(name)
            own = {key: file for key, file in self.files.items() if key[0] == name}
            if state is not None and state.standing == "current":
                self.good[name] = own
            elif not own:
                self.good.pop(name, None)

    def loaded(self, files, last=None, known=NO_READINGS):  # type: ignore[no-untyped-def]
        sources = [
            SourceFile(f"conf.d/{owner}/{name}", owner, file.text(owner).encode())
            for (owner, name), file in files.items()
        ]
        owners = {owner for owner, _ in files}
        sources += [
            SourceFile(f"conf.d/{owner}/t.yaml", owner, tenant(owner, "clients: []").encode())
            for owner in owners
        ]
        resources = read(sources, environment={}, read_file=no_such_file, root_namespace=ROOT, known=known)
        return adopt(resources, last, Surroundings({}, ROOT, no_such_file, any_tls)), resources.readings

    @rule(owner=st.sampled_from(TENANTS), name=st.sampled_from(FILES), file=files)
    def write(self, owner: str, name: str, file: File) -> None:
        self.files[owner, name] = file
        self.load()

    @rule(owner=st.sampled_from(TENANTS), name=st.sampled_from(FILES))
    def remove(self, owner: str, name: str) -> None:
        self.files.pop((owner, name), None)
        self.load()

    @rule(owner=st.sampled_from(TENANTS))
    def rename(self, owner: str) -> None:
        one, two = ((owner, name) for name in FILES)
        swapped = {two: self.files.pop(one, None), one: self.files.pop(two, None)}
        self.files.update({key: file for key, file in swapped.items() if file is not None})
        self.load()

    @rule()
    def look_again(self) -> None:
        before = self.generation
        self.load()
        assert before is not None
        assert self.generation is not None
        for name, state in before.tenants.items():
            assert self.generation.tenants[name] is state

    @invariant()
    def each_runs_on_what_was_last_good(self) -> None:
        assert self.generation is not None
        fresh, _ = self.loaded({key: file for own in self.good.values() for key, file in own.items()})
        for name in self.good:
            running = table_of(self.generation, name)
            if fresh.tenants[name].standing != "current":
                # What it names was taken away from it, and it has not been good since.
                assert self.generation.tenants[name].standing == "last_good"
                continue
            for host, rules in table_of(fresh, name).items():
                expected = [
                    (each, [backend for backend in backends if self.is_granted(name, *backend[:2])])
                    for each, backends in rules
                ]
                assert running[host] == expected
            assert running.keys() == table_of(fresh, name).keys()

    @invariant()
    def nobody_else_is_there(self) -> None:
        assert self.generation is not None
        assert {name for name, state in self.generation.tenants.items() if state.table} == self.good.keys()

    def is_granted(self, importer: str, owner: str, host: str) -> bool:
        """Whether a provider is an importer's own, or its owner's newest files still let it be used."""
        assert self.generation is not None
        if importer == owner or self.generation.tenants[owner].standing == "current":
            return True
        own = {key: file for key, file in self.files.items() if key[0] == owner}
        written = [
            audience
            for file in own.values()
            for name, audience, _ in file.providers
            if f"{name}.{owner}" == host
        ]
        if written:
            return any({importer, '"*"'} & set(audience) for audience in written[:1])
        # It may be in what cannot be read of the file that it stood in.
        return any(
            file.broken.endswith("[") and f"{name}.{owner}" == host
            for key, file in own.items()
            for name, _, _ in self.good[owner].get(key, File()).providers
        )


TestEdits = Edits.TestCase
TestEdits.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
