"""The drives of `bench/`, short: conf.d changes under load, and two tenants' keys mixed at random.

How long anything takes is nothing that a test judges; the drives' own limits hold when they are run by command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.whole.running import ROOT


def drive(*words: str) -> str:
    """Run a drive; what it printed.

    :raises AssertionError: with that, where anything went wrong.
    """
    if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") is None:
        pytest.skip("there is no nginx here")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a drive needs two cores")
    ended = subprocess.run([sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("inotify", [True, False], ids=["inotify", "without"])
def test_no_answer_is_wrong_and_no_stream_is_cut_while_files_change(inotify: bool) -> None:
    if not inotify and subprocess.run(["unshare", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be had here")
    words = [] if inotify else ["--without-inotify"]
    assert " 0 of them wrong" in drive("changes", "--changes", "22", "--worst-lag", "30", *words)


def test_no_tenant_is_answered_with_anothers_key() -> None:
    assert "2,000 right: good" in drive("isolation", "--requests", "2000")
