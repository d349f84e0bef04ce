"""The drives of `bench/`, short: changes under load, two tenants' keys mixed at random, and providers that fail.

How long anything takes is nothing that a test judges; the drives' own limits hold when they are run by command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.whole.running import ROOT


def run_together(*drives: list[str]) -> list[str]:
    """Run these at the same time; what each has printed.

    :raises AssertionError: with all of that, where anything went wrong.
    """
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("a drive needs two cores")
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "bench", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for words in drives
    ]
    printed = [each.communicate()[0] for each in running]
    assert not any(each.returncode for each in running), "\n".join(printed)
    return printed


def drive(*words: str) -> str:
    """Run one."""
    return run_together(list(words))[0]


needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") is None, reason="there is no nginx here"
)


@needs_nginx
@pytest.mark.parametrize("inotify", [True, False], ids=["inotify", "without"])
def test_no_answer_is_wrong_and_no_stream_is_cut_while_files_change(inotify: bool) -> None:
    if not inotify and subprocess.run(["unshare", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be had here")
    words = [] if inotify else ["--without-inotify"]
    assert " 0 of them wrong" in drive("changes", "--changes", "22", "--worst-lag", "30", *words)


@needs_nginx
def test_no_tenant_is_answered_with_anothers_key() -> None:
    assert "2,000 right: good" in drive("isolation", "--requests", "2000")


def test_whatever_a_provider_does_ends_as_it_must_and_leaves_nothing_behind() -> None:
    assert " 0 missed: good" in drive("faults", "--slack", "20")
    outage, soak = run_together(
        ["outage", "--seconds", "4", "--every", "0.5", "--slack", "20"],
        ["soak", "--minutes", "0.1", "--streams", "60"],
    )
    assert outage.endswith("good\n")
    assert " 0 wrong: good" in soak
