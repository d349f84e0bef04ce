"""When conf.d is looked at again; real files, a clock of our own, and events that a test makes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gateway.snapshot.adopting import Generation
from gateway.watcher import watching
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings
from gateway.watcher.watching import (
    RESCAN_SECONDS,
    RESCAN_WITHOUT_EVENTS_SECONDS,
    SETTLE_AT_MOST_SECONDS,
    SETTLE_SECONDS,
    Watcher,
)
from tests.fakes.conf import ROOT, any_tls, provider

BROKEN = "kind: ["


def temporary_folder(test: SynchronousTestCase) -> Path:
    """A new folder that is gone after the test; trial's own are made where the tests were started."""
    folder = TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return Path(folder.name)


class ThreadedClock(Clock):
    """A clock that other threads may call into, as a reactor."""

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:  # noqa: N802
        self.callLater(0, call, *arguments)


class FakeObserver:
    """Stands for watchdog's observer: no thread, no inotify."""

    made: list[FakeObserver] = []  # noqa: RUF012
    refuses: Exception | None = None

    def __init__(self) -> None:
        self.stopped = False
        self.path = ""
        self.handler: Any = None
        FakeObserver.made.append(self)

    def schedule(self, handler: object, path: str, **options: object) -> None:
        self.path = path
        self.handler = handler

    def start(self) -> None:
        if FakeObserver.refuses is not None:
            raise FakeObserver.refuses

    def stop(self) -> None:
        self.stopped = True


class WatcherTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.conf = temporary_folder(self) / "conf.d"
        self.conf.mkdir()
        self.clock = ThreadedClock()
        self.generations: list[Generation] = []
        self.patch(watching, "Observer", FakeObserver)
        self.patch(FakeObserver, "made", [])
        self.patch(FakeObserver, "refuses", None)
        self.write("p.yaml", provider("a"))
        self.folder_problems: list[str] = []
        self.watcher = Watcher(
            self.clock,  # type: ignore[arg-type]
            Folder(self.conf),
            LoadSettings(environment={}, labels={}, root_namespace=ROOT, prepare_tls=any_tls),
            self.generations.append,
            self.folder_problems.append,
        )

    def write(self, name: str, text: str) -> None:
        path = self.conf / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self) -> None:
        self.watcher.startService()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if self.watcher.running:
            self.watcher.stopService()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @property
    def hosts(self) -> list[str]:
        """Of the newest generation."""
        return sorted(host for host, _ in self.generations[-1].snapshot.anonymous.items())


class LookTests(WatcherTestCase):
    def test_it_reads_at_the_start(self) -> None:
        self.assertIsNone(self.watcher.generation)
        self.start()
        self.assertEqual(self.hosts, ["a.example"])
        self.assertIs(self.watcher.generation, self.generations[-1])

    def test_nothing_has_changed(self) -> None:
        self.start()
        self.watcher.look()
        os.utime(self.conf / "p.yaml", (1, 1))
        self.watcher.look()
        self.assertEqual(len(self.generations), 1)

    def test_changes_new_files_renames_and_removals(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.assertEqual(self.hosts, ["b.example"])
        self.write("acme/q.yaml", provider("c"))
        self.watcher.look()
        self.assertEqual(self.hosts, ["b.example", "c.example"])
        (self.conf / "acme").rename(self.conf / "other")
        self.watcher.look()
        self.assertEqual(self.hosts, ["b.example", "c.example"])
        self.assertEqual(len(self.generations), 4)
        shutil.rmtree(self.conf / "other")
        self.watcher.look()
        self.assertEqual(self.hosts, ["b.example"])
        (self.conf / "p.yaml").rename(self.conf / ".p.yaml")
        self.watcher.look()
        self.assertEqual(self.hosts, [])

    def test_the_last_good_stays(self) -> None:
        self.start()
        self.write("p.yaml", BROKEN)
        self.watcher.look()
        self.assertEqual(self.hosts, ["a.example"])
        self.assertEqual(self.generations[-1].stale, {"default"})

    def test_a_secret_that_changes(self) -> None:
        key = self.conf / ".key"
        key.write_text("sk-1")
        self.write(
            "p.yaml",
            provider("a", f'configs: {{defaultConfig: {{openAIConfig: {{apiKey: "${{file:{key}}}"}}}}}}'),
        )
        self.start()
        self.watcher.look()
        self.assertEqual(len(self.generations), 1)
        key.write_text("sk-2")
        self.watcher.look()
        self.assertEqual(len(self.generations), 2)
        key.unlink()
        self.watcher.look()
        self.assertEqual(self.generations[-1].stale, {"default"})
        self.assertEqual(self.hosts, ["a.example"])
        key.write_text("sk-3")
        self.watcher.look()
        self.assertEqual(self.generations[-1].stale, frozenset())

    def test_a_certificate_that_changes(self) -> None:
        roots = self.conf / ".ca"
        roots.write_text("one")
        self.write("p.yaml", provider("a", f"endpoint: {{tls: {{caCertificates: {roots}}}}}"))
        self.start()
        roots.write_text("two")
        self.watcher.look()
        (destination,) = self.generations[-1].snapshot.destinations
        assert destination.tls is not None
        self.assertEqual(destination.tls.ca_certificates, b"two")

    def test_a_folder_that_is_gone_keeps_everything(self) -> None:
        self.start()
        shutil.rmtree(self.conf)
        self.watcher.look()
        self.watcher.look()
        self.assertEqual(len(self.generations), 1)
        self.conf.mkdir()
        self.watcher.look()
        self.assertEqual(self.hosts, [])

    def test_a_fault_of_our_own_ends_nothing(self) -> None:
        self.start()
        self.patch(watching, "load", lambda *arguments: 1 / 0)
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.hosts, ["a.example"])

    def test_a_generation_that_could_not_be_adopted_is_tried_again(self) -> None:
        def refuses(generation: Generation) -> None:
            raise ZeroDivisionError

        self.start()
        self.patch(self.watcher, "_adopted", refuses)
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.watcher, "_adopted", self.generations.append)
        self.watcher.look()
        self.assertEqual(self.hosts, ["b.example"])


class SettleTests(WatcherTestCase):
    """A change is read once it is quiet, or soon all the same."""

    def test_after_some_quiet(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        self.watcher.changed()
        self.clock.advance(SETTLE_SECONDS * 0.9)
        self.watcher.changed()
        self.clock.advance(SETTLE_SECONDS * 0.9)
        self.assertEqual(self.hosts, ["a.example"])
        self.clock.advance(SETTLE_SECONDS * 0.2)
        self.assertEqual(self.hosts, ["b.example"])

    def test_not_later_than_that(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        began = self.clock.seconds()
        while self.hosts == ["a.example"]:
            self.watcher.changed()
            self.clock.advance(0.01)
        self.assertLessEqual(self.clock.seconds() - began, SETTLE_AT_MOST_SECONDS + 0.02)
        self.assertGreater(self.clock.seconds() - began, SETTLE_AT_MOST_SECONDS - 0.02)

    def test_the_next_change_has_its_own_time(self) -> None:
        self.start()
        self.watcher.changed()
        self.clock.advance(1)
        self.write("p.yaml", provider("b"))
        self.watcher.changed()
        self.clock.advance(SETTLE_SECONDS * 0.9)
        self.assertEqual(self.hosts, ["a.example"])
        self.clock.advance(SETTLE_SECONDS * 0.2)
        self.assertEqual(self.hosts, ["b.example"])

    def test_a_hint_comes_from_another_thread(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        (observer,) = FakeObserver.made
        observer.handler.on_any_event(None)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["b.example"])

    def test_a_hint_that_comes_after_the_end(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        (observer,) = FakeObserver.made
        observer.handler.on_any_event(None)
        self.watcher.stopService()
        self.clock.advance(1)
        self.assertEqual(self.hosts, ["a.example"])


class RescanTests(WatcherTestCase):
    """What no event tells of is found all the same."""

    def test_with_events(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_SECONDS - 0.1)
        self.assertEqual(self.hosts, ["a.example"])
        self.clock.advance(0.1)
        self.assertEqual(self.hosts, ["b.example"])
        self.write("p.yaml", provider("c"))
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(self.hosts, ["c.example"])

    def test_without_events(self) -> None:
        FakeObserver.refuses = OSError(28, "inotify watch limit reached")
        self.start()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_WITHOUT_EVENTS_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])

    def test_without_a_thread(self) -> None:
        FakeObserver.refuses = RuntimeError("can't start new thread")
        self.start()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_WITHOUT_EVENTS_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])

    def test_without_events_that_is_said_once(self) -> None:
        FakeObserver.refuses = OSError(28, "inotify watch limit reached")
        self.start()
        self.clock.pump([RESCAN_WITHOUT_EVENTS_SECONDS] * 5)
        self.assertEqual(len(FakeObserver.made), 1)

    def test_another_folder_in_its_place(self) -> None:
        self.start()
        (first,) = FakeObserver.made
        self.conf.rename(self.conf.with_name("old"))
        self.conf.mkdir()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])
        self.assertTrue(first.stopped)
        self.assertEqual(len(FakeObserver.made), 2)
        self.assertEqual(FakeObserver.made[1].path, str(self.conf))

    def test_a_folder_that_comes_back(self) -> None:
        self.start()
        shutil.rmtree(self.conf)
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(self.hosts, ["a.example"])
        self.conf.mkdir()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_WITHOUT_EVENTS_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])
        self.assertFalse(FakeObserver.made[-1].stopped)

    def test_a_fault_of_our_own_does_not_end_it(self) -> None:
        self.start()
        self.patch(watching, "load", lambda *arguments: 1 / 0)
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_SECONDS)
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_a_stop_ends_it(self) -> None:
        self.start()
        self.watcher.changed()
        self.watcher.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(FakeObserver.made[0].stopped)


class RealEventsTests(SynchronousTestCase):
    def test_the_observer_takes_our_hints(self) -> None:
        """That watchdog accepts what it is given; that its events come is for tests/whole."""
        folder = temporary_folder(self)
        clock = ThreadedClock()
        watcher = Watcher(
            clock,  # type: ignore[arg-type]
            Folder(folder),
            LoadSettings(environment={}, labels={}, root_namespace=ROOT, prepare_tls=any_tls),
            lambda generation: None,
            lambda problem: None,
        )
        watcher.startService()
        observer = watcher._observer
        assert observer is not None
        self.assertTrue(observer.is_alive())
        watcher.stopService()
        observer.join(5)
        self.assertFalse(observer.is_alive())
