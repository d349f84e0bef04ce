"""What loads leave behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from gateway.resources import SourceFile
from gateway.snapshot.generations import Generation
from gateway.watcher import discarding
from gateway.watcher.discarding import discard, out_of_the_collectors_way
from gateway.watcher.folder import Contents
from gateway.watcher.loading import Loaded, LoadSettings, load
from tests.fakes.conf import ROOT, any_tls, provider, route_to

SETTINGS = LoadSettings(environment={}, labels={}, root_namespace=ROOT, prepare_tls=any_tls)


def loaded(files: Mapping[str, str], last: Loaded | None = None) -> Loaded:
    sources = tuple(SourceFile(path, path.partition("/")[0], text.encode()) for path, text in files.items())
    contents = Contents(files=sources, problems=(), digest="")
    return load(
        contents,
        last.generation if last is not None else None,
        SETTINGS,
        known=last.readings if last is not None else {},
    )


MANY = {
    f"t{number}/p.yaml": provider(f"p{number}") + route_to(f"p{number}", f"r{number}") for number in range(5)
}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    frozen = gc.get_freeze_count()
    yield
    if gc.get_freeze_count() > frozen:
        gc.unfreeze()
    assert gc.isenabled()


@contextmanager
def garbage() -> Iterator[list[object]]:
    """Filled in the end with what only the collector could free."""
    left: list[object] = []
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield left
        gc.collect()
        left += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_the_collector_is_off_as_long_as_anybody_loads() -> None:
    with out_of_the_collectors_way():
        with out_of_the_collectors_way():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_on_again_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), out_of_the_collectors_way():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_what_a_big_load_makes_is_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = gc.get_freeze_count()
    with out_of_the_collectors_way():
        small = [[number] for number in range(10)]
    assert gc.get_freeze_count() == before
    monkeypatch.setattr(discarding, "BIG", 1000)
    with out_of_the_collectors_way():
        big = [[number] for number in range(2000)]
    assert gc.get_freeze_count() >= before + len(small) + len(big)


def test_a_generation_goes_piece_by_piece_and_what_lives_on_stays() -> None:
    before = loaded(MANY)
    changed = {**MANY, "t1/p.yaml": provider("new"), "t2/p.yaml": "kind: ["}
    first, second = before.generation, loaded(changed, before).generation
    del before
    gone = first.tenants["t1"]
    alive: list[bool] = []
    watched = weakref.ref(gone)
    kept = [second.tenants[name] for name in ("t0", "t3", "t4")]
    assert all(first.tenants[state.name] is state for state in kept)
    old: list[Generation] = [first]
    del first, gone
    discard(old, second, lambda: alive.append(watched() is not None))
    assert old == []
    assert watched() is None
    assert len(alive) > 3


def test_loads_leave_no_cycles() -> None:
    """What is left to the collector grows, because what a big load makes is kept from it."""
    last = loaded(MANY)
    with garbage() as left:
        with out_of_the_collectors_way():
            for number in range(10):
                changed = {**MANY, "t1/p.yaml": provider(f"new{number}"), "t2/p.yaml": "kind: ["}
                last = loaded(changed, last)
        assert last.generation.stale == {"t2"}
        del last
    # Threads of tests before this one may leave something, too.
    assert [each for each in left if type(each).__module__.startswith("gateway.")] == []
