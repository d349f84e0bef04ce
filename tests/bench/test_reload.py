"""The configuration that the reload drive changes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from weakref import WeakSet

from bench.reload import (
    AFTERWARDS,
    SETTLED_RELOADS,
    SETTLED_SECONDS,
    SINGLE_CHANGES,
    TENANTS_OF_MANY_RELOADS,
    conf_d,
    tenant_documents,
    write,
)
from gateway.serving.page.counts import tally
from gateway.serving.page.history import History
from gateway.serving.page.reading import Reading
from gateway.serving.page.sampler import UNWATCHED_SECONDS
from gateway.snapshot.generations import Generation
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings, load
from tests.fakes.conf import ROOT, any_tls

SETTINGS = LoadSettings(environment={}, labels={}, root_namespace=ROOT, prepare_tls=any_tls)


def generation(folder: Path) -> Generation:
    return load(Folder(folder).read(), None, SETTINGS).generation


def test_it_has_no_problem_and_so_many_routes(tmp_path: Path) -> None:
    write(tmp_path, conf_d(3, 2, 0))
    loaded = generation(tmp_path)
    assert loaded.problems == ()
    assert loaded.snapshot.tenants.keys() == {"default", "t0", "t1", "t2"}
    assert len(loaded.snapshot.anonymous) == 3 * (2 + 1) + 1


def test_each_change_can_be_told_from_the_one_before() -> None:
    written = [tenant_documents("t1", 1, number) for number in (*range(SINGLE_CHANGES + 1), AFTERWARDS)]
    assert all(one != two for one, two in pairwise(written))
    assert written[0] != written[-1]


def test_once_settled_every_tenant_has_answered_with_every_model() -> None:
    def told(reloads: range) -> set[str]:
        return {tenant_documents(f"t{number % TENANTS_OF_MANY_RELOADS}", 0, number) for number in reloads}

    settled = range(1, SETTLED_RELOADS + 1)
    assert told(settled) == told(range(1, 3 * SETTLED_RELOADS))
    assert len(told(settled)) == len(settled)


def test_once_settled_the_page_lets_go_of_as_much_as_it_adds() -> None:
    history, held = History(), []
    taken: WeakSet[Reading] = WeakSet()
    for number in range(60):
        at = number * UNWATCHED_SECONDS
        reading = Reading(at, at, tally({}, {}), {})
        taken.add(reading)
        history.add(reading)
        del reading
        held.append((at, len(taken)))
    settled = [number for at, number in held if at >= SETTLED_SECONDS]
    assert max(settled) - min(settled) <= 1
