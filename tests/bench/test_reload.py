"""The configuration that the reload drive changes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from bench.reload import AFTERWARDS, SINGLE_CHANGES, conf_d, tenant_documents, write
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
