"""When conf.d is looked at again; real files, a clock of our own, and events that a test makes."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, WatchDescriptor

from gateway.snapshot.generations import Generation
from gateway.watcher import file_content, observing, watching
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings
from gateway.watcher.observing import OBSERVE_AGAIN_SECONDS, RESCAN_WITHOUT_EVENTS_SECONDS
from gateway.watcher.unfinished import GRACE_SECONDS
from gateway.watcher.watching import (
    RESCAN_SECONDS,
    SETTLE_AT_MOST_SECONDS,
    SETTLE_SECONDS,
    Watcher,
)
from tests.fakes.conf import ROOT, any_tls, provider, tenant

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


class FakeInotify:
    """Stands for the kernel: no thread, no inotify."""

    made: list[FakeInotify] = []  # noqa: RUF012
    refuses: Exception | None = None

    def __init__(self) -> None:
        self.stopped = False
        self.watched: dict[str, Any] = {}
        """The callback of each folder."""
        FakeInotify.made.append(self)

    def start(self) -> None:
        if isinstance(FakeInotify.refuses, RuntimeError):
            raise FakeInotify.refuses

    def add_callback(self, path: bytes, mask: int, callback: object, number: int) -> None:
        if FakeInotify.refuses is not None:
            raise FakeInotify.refuses
        if not os.path.isdir(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        self.watched[os.fsdecode(path)] = callback

    def is_alive(self) -> bool:
        return not self.stopped

    def stop(self) -> None:
        self.stopped = True


class WatcherTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.conf = temporary_folder(self) / "conf.d"
        self.conf.mkdir()
        self.clock = ThreadedClock()
        self.generations: list[Generation] = []
        self.patch(observing, "InotifyFD", FakeInotify)
        self.patch(FakeInotify, "made", [])
        self.patch(FakeInotify, "refuses", None)
        self.write("p.yaml", provider("a"))
        self.folder_problems: list[str] = []
        self.watcher = Watcher(
            self.clock,  # type: ignore[arg-type]
            Folder(self.conf, self.clock.seconds),
            LoadSettings(environment={}, labels={}, root_namespace=ROOT, prepare_tls=any_tls),
            self.generations.append,
            self.folder_problems.append,
            in_worker=maybeDeferred,
        )

    def write(self, name: str, text: str) -> None:
        path = self.conf / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self) -> None:
        self.watcher.startService()
        self.addCleanup(self.stop)
        self.clock.pump([0, SETTLE_SECONDS])  # it looks once more when there are events

    @property
    def observer(self) -> FakeInotify:
        """The newest."""
        return FakeInotify.made[-1]

    def event(self, path: Path, folder: Path | None = None) -> None:
        """Something happens to a file, and the observer of its folder tells."""
        event = InotifyEvent(WatchDescriptor(1), InotifyConstants.IN_MODIFY, 0, os.fsencode(path.name))
        self.observer.watched[str(folder or path.parent)].on_event(event)

    def lost(self, folder: Path) -> None:
        """The folder is gone, and the observer tells that it watches it no more."""
        self.observer.watched[str(folder)].on_watch_deleted(WatchDescriptor(1))
        self.clock.pump([0, SETTLE_SECONDS, 0, SETTLE_SECONDS])

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
        self.assertIsNone(self.watcher.loaded)
        self.start()
        self.assertEqual(self.hosts, ["a.example"])
        assert self.watcher.loaded is not None
        self.assertIs(self.watcher.loaded.generation, self.generations[-1])

    def test_nothing_has_changed(self) -> None:
        self.start()
        self.watcher.look()
        os.utime(self.conf / "p.yaml", (1, 1))
        self.watcher.look()
        self.assertEqual(len(self.generations), 1)

    def test_an_operator_is_told_of_that(self) -> None:
        self.start()
        with capturedLogs() as events:
            self.watcher.look()
            self.watcher.look(thoroughly=False)
            self.assertEqual(events, [])
            self.watcher.ask()
            self.watcher.look()
        self.assertEqual([formatEvent(event) for event in events], [f"nothing has changed in {self.conf}"])

    def test_an_operator_is_told_again_that_the_folder_cannot_be_read(self) -> None:
        self.start()
        shutil.rmtree(self.conf)
        self.watcher.look()
        with capturedLogs() as events:
            self.watcher.ask()
        (event,) = events
        self.assertIn(f"{self.conf} cannot be read", formatEvent(event))

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
        self.patch(watching, "load", lambda *arguments, **options: 1 / 0)
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
        self.event(self.conf / "p.yaml")
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["b.example"])

    def test_a_hint_that_comes_after_the_end(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        self.event(self.conf / "p.yaml")
        self.watcher.stopService()
        self.clock.advance(1)
        self.assertEqual(self.hosts, ["a.example"])


class UnfinishedTests(WatcherTestCase):
    """A file that is being written counts as it was, for a short time."""

    BOTH = provider("b") + provider("c")

    def setUp(self) -> None:
        super().setUp()
        self.write("q.yaml", self.BOTH)
        self.start()
        self.assertEqual(self.hosts, ["a.example", "b.example", "c.example"])

    def look(self) -> None:
        self.watcher.look(thoroughly=False)

    def test_emptied_and_then_written(self) -> None:
        self.write("q.yaml", "")
        self.look()
        self.clock.advance(GRACE_SECONDS * 0.9)
        self.write("q.yaml", provider("d"))
        self.look()
        self.clock.advance(GRACE_SECONDS)
        self.assertEqual(self.hosts, ["a.example", "d.example"])
        self.assertEqual(len(self.generations), 2)

    def test_emptied_and_left_so(self) -> None:
        self.write("q.yaml", "")
        self.look()
        self.clock.advance(GRACE_SECONDS * 0.9)
        self.assertEqual(len(self.generations), 1)
        self.clock.advance(GRACE_SECONDS * 0.2)
        self.assertEqual(len(self.generations), 2)
        self.assertEqual(
            [each.position.file for each in self.generations[-1].problems], [f"{self.conf}/q.yaml"]
        )

    def test_cut_between_two_documents(self) -> None:
        self.write("q.yaml", provider("b"))
        self.look()
        self.assertEqual(len(self.generations), 1)
        self.clock.advance(GRACE_SECONDS)
        self.assertEqual(self.hosts, ["a.example", "b.example"])

    def test_cut_before_a_tenant_document(self) -> None:
        """It opens no tenant, whether the rest comes or not."""
        document = tenant("acme", "clients: []")
        self.write("acme/p.yaml", provider("d"))
        self.write("q.yaml", self.BOTH + document)
        self.watcher.look()
        self.assertEqual(self.hosts, ["a.example", "b.example", "c.example"])
        self.write("q.yaml", self.BOTH)
        self.look()
        self.clock.advance(GRACE_SECONDS)
        self.assertEqual(self.hosts, ["a.example", "b.example", "c.example"])
        self.assertEqual(self.generations[-1].stale, {"acme"})
        self.write(".q.yaml", self.BOTH)
        (self.conf / ".q.yaml").rename(self.conf / "q.yaml")
        self.look()
        self.assertEqual(self.hosts, ["a.example", "b.example", "c.example", "d.example"])

    def test_other_changes_do_not_prolong_it(self) -> None:
        self.write("q.yaml", provider("b"))
        for _ in range(5):
            self.look()
            self.clock.advance(GRACE_SECONDS / 4)
        self.assertEqual(self.hosts, ["a.example", "b.example"])

    def test_others_do_not_wait_for_it(self) -> None:
        self.write("q.yaml", "")
        self.write("p.yaml", provider("e"))
        self.look()
        self.assertEqual(self.hosts, ["b.example", "c.example", "e.example"])

    def test_nothing_waits_for_what_is_whole_again(self) -> None:
        self.write("q.yaml", "")
        self.look()
        self.write("q.yaml", self.BOTH)
        self.look()
        self.write("q.yaml", "")
        self.look()
        self.clock.advance(GRACE_SECONDS * 0.9)
        self.assertEqual(len(self.generations), 1)

    def test_a_file_moved_into_its_place_is_complete(self) -> None:
        self.write(".q.yaml", provider("b"))
        (self.conf / ".q.yaml").rename(self.conf / "q.yaml")
        self.look()
        self.assertEqual(self.hosts, ["a.example", "b.example"])

    def test_but_not_one_that_is_empty(self) -> None:
        """An editor has kept the old one as a backup."""
        (self.conf / "q.yaml").rename(self.conf / "q.yaml~")
        self.write("q.yaml", "")
        self.look()
        self.assertEqual(len(self.generations), 1)

    def test_a_file_that_is_taken_away_is_gone_at_once(self) -> None:
        self.write("q.yaml", "")
        self.look()
        (self.conf / "q.yaml").unlink()
        self.look()
        self.assertEqual(self.hosts, ["a.example"])

    def test_a_swapped_link_is_complete(self) -> None:
        self.swap("one", self.BOTH)
        (self.conf / "q.yaml").unlink()
        (self.conf / "q.yaml").symlink_to("..data/q.yaml")
        self.look()
        self.swap("two", "")
        self.look()
        self.assertEqual(
            [each.position.file for each in self.generations[-1].problems], [f"{self.conf}/q.yaml"]
        )

    def swap(self, name: str, text: str) -> None:
        self.write(f"..{name}/q.yaml", text)
        (self.conf / "..new").symlink_to(f"..{name}")
        (self.conf / "..new").rename(self.conf / "..data")

    def test_a_stop_ends_the_waiting(self) -> None:
        self.write("q.yaml", "")
        self.look()
        self.stop()


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
        FakeInotify.refuses = OSError(28, "inotify watch limit reached")
        self.start()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_WITHOUT_EVENTS_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])

    def test_without_a_thread(self) -> None:
        FakeInotify.refuses = RuntimeError("can't start new thread")
        self.start()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_WITHOUT_EVENTS_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])

    def test_without_events_that_is_said_once(self) -> None:
        FakeInotify.refuses = OSError(28, "inotify watch limit reached")
        self.start()
        self.clock.pump([RESCAN_WITHOUT_EVENTS_SECONDS] * 5)
        self.assertEqual(len(FakeInotify.made), 1)

    def test_another_folder_in_its_place(self) -> None:
        self.start()
        (first,) = FakeInotify.made
        self.conf.rename(self.conf.with_name("old"))
        self.conf.mkdir()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])
        self.assertTrue(first.stopped)
        self.assertEqual(len(FakeInotify.made), 2)
        self.assertIn(str(self.conf), self.observer.watched)

    def test_a_folder_that_comes_back(self) -> None:
        self.start()
        shutil.rmtree(self.conf)
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(self.hosts, ["a.example"])
        self.conf.mkdir()
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_WITHOUT_EVENTS_SECONDS)
        self.assertEqual(self.hosts, ["b.example"])
        self.assertFalse(FakeInotify.made[-1].stopped)

    def test_a_fault_of_our_own_does_not_end_it(self) -> None:
        self.start()
        self.patch(watching, "load", lambda *arguments, **options: 1 / 0)
        self.write("p.yaml", provider("b"))
        self.clock.advance(RESCAN_SECONDS)
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_a_stop_ends_it(self) -> None:
        self.start()
        self.watcher.changed()
        self.watcher.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(FakeInotify.made[0].stopped)


class ObservingTests(WatcherTestCase):
    """What is observed beside the folder, and what happens where nothing can be."""

    def secret(self) -> Path:
        folder = self.conf.with_name("secrets")
        folder.mkdir()
        (folder / "key").write_text("sk-1")
        self.write(
            "p.yaml",
            provider(
                "a", f'configs: {{defaultConfig: {{openAIConfig: {{apiKey: "${{file:{folder}/key}}"}}}}}}'
            ),
        )
        return folder / "key"

    def test_a_folder_put_in_its_place_is_noticed_at_once(self) -> None:
        self.start()
        self.conf.rename(self.conf.with_name("old"))
        self.conf.mkdir()
        self.write("p.yaml", provider("b"))
        self.event(self.conf)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["b.example"])
        self.assertEqual(len(FakeInotify.made), 2)
        self.assertTrue(FakeInotify.made[0].stopped)

    def test_so_is_one_in_the_place_of_a_tenants(self) -> None:
        self.write("acme/p.yaml", provider("b"))
        self.start()
        (self.conf / "acme").rename(self.conf / ".old")
        self.write("acme/p.yaml", provider("c"))
        self.event(self.conf / "acme")
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["a.example", "c.example"])
        self.assertEqual(len(FakeInotify.made), 2)

    def test_so_is_one_of_the_very_same_inode(self) -> None:
        """`rm -r acme; mkdir acme`: nothing but the loss of its watch tells."""
        self.write("acme/p.yaml", provider("b"))
        self.start()
        self.assertEqual(len(FakeInotify.made), 1)
        self.lost(self.conf / "acme")
        self.assertEqual(len(FakeInotify.made), 2)
        self.assertIn(str(self.conf / "acme"), self.observer.watched)
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(len(FakeInotify.made), 2)

    def test_events_that_were_lost_may_have_been_of_such_a_one(self) -> None:
        self.start()
        self.observer.watched[str(self.conf)].on_queue_overflow()
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(len(FakeInotify.made), 2)

    def test_a_folder_that_is_gone_before_it_is_watched(self) -> None:
        self.write("acme/p.yaml", provider("b"))
        real = FakeInotify.add_callback

        def vanishing(inotify: FakeInotify, path: bytes, *arguments: Any) -> None:
            if path.endswith(b"acme") and len(FakeInotify.made) == 1:
                raise FileNotFoundError(2, "No such file or directory", path)
            real(inotify, path, *arguments)

        self.patch(FakeInotify, "add_callback", vanishing)
        self.start()
        self.assertEqual(len(FakeInotify.made), 2)
        self.assertIn(str(self.conf / "acme"), self.observer.watched)

    def test_a_secrets_folder_that_is_made_anew(self) -> None:
        key = self.secret()
        self.start()
        shutil.rmtree(key.parent)
        self.lost(key.parent)
        self.assertEqual(self.generations[-1].stale, {"default"})
        self.assertNotIn(str(key.parent), self.observer.watched)
        key.parent.mkdir()
        self.event(key.parent)
        self.clock.pump([0, SETTLE_SECONDS])
        key.write_text("sk-2")
        self.event(key)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.generations[-1].stale, frozenset())

    def test_a_secrets_folder_that_a_link_leads_to(self) -> None:
        key = self.secret()
        key.parent.rename(key.parent.with_name("v1"))
        key.parent.symlink_to("v1")
        self.start()
        (key.parent.with_name("v2")).mkdir()
        (key.parent.with_name("v2") / "key").write_text("sk-2")
        key.parent.unlink()
        key.parent.symlink_to("v2")
        self.event(key.parent)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(len(self.generations), 2)
        self.assertIn(str(key.parent.with_name("v2")), self.observer.watched)

    def test_what_happens_beside_it_does_not_count(self) -> None:
        self.start()
        self.write("p.yaml", provider("b"))
        self.event(self.conf.with_name("other"))
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["a.example"])

    def test_a_secret_elsewhere_is_observed(self) -> None:
        key = self.secret()
        self.start()
        key.write_text("sk-2")
        self.event(key.with_name("other"), key.parent)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(len(self.generations), 1)
        self.event(key)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(len(self.generations), 2)

    def test_so_is_one_that_is_swapped_as_a_whole(self) -> None:
        """As Kubernetes mounts a Secret."""
        key = self.secret()
        self.start()
        key.write_text("sk-2")
        self.event(key.with_name("..data"), key.parent)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(len(self.generations), 2)

    def test_where_links_lead_to_is_observed(self) -> None:
        elsewhere = self.conf.with_name("elsewhere")
        elsewhere.mkdir()
        (elsewhere / "b.yaml").write_text(provider("b"))
        (self.conf / "link.yaml").symlink_to(elsewhere / "b.yaml")
        self.start()
        (elsewhere / "b.yaml").write_text(provider("c"))
        self.event(elsewhere / "b.yaml")
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["a.example", "c.example"])

    def test_it_is_tried_again_later(self) -> None:
        FakeInotify.refuses = OSError(28, "No space left on device")
        self.start()
        self.clock.advance(OBSERVE_AGAIN_SECONDS / 2)
        self.assertEqual(len(FakeInotify.made), 1)
        FakeInotify.refuses = None
        self.clock.pump([RESCAN_WITHOUT_EVENTS_SECONDS] * 62)
        self.assertEqual(len(FakeInotify.made), 2)
        self.write("p.yaml", provider("b"))
        self.event(self.conf / "p.yaml")
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["b.example"])

    def test_an_observer_that_has_died_is_replaced(self) -> None:
        self.start()
        self.observer.stop()
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(len(FakeInotify.made), 2)

    def test_a_tenant_folder_that_can_be_listed_again(self) -> None:
        """No watch could be had for it."""
        acme = self.conf / "acme"
        self.write("acme/p.yaml", provider("b"))
        listed = os.listdir

        def denied(path: Any) -> list[str]:
            if Path(path) == acme:
                raise PermissionError(13, "Permission denied")
            return listed(path)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(os, "listdir", denied)
            self.start()
            self.assertEqual(self.hosts, ["a.example"])
        self.event(acme)
        self.clock.pump([0, SETTLE_SECONDS])
        self.assertEqual(self.hosts, ["a.example", "b.example"])
        self.assertEqual(len(FakeInotify.made), 2)


class WorkerTests(WatcherTestCase):
    """Looks are another thread's work, one at a time."""

    def setUp(self) -> None:
        super().setUp()
        self.work: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.start()
        self.patch(self.watcher, "_in_worker", self.later)

    def later(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.work.append((result, lambda: call(*arguments)))
        return result

    def works(self) -> None:
        """The worker does what it was given longest ago."""
        result, call = self.work.pop(0)
        try:
            result.callback(call())
        except Exception:
            result.errback()

    def test_a_change_during_a_look_leads_to_another(self) -> None:
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.watcher.look(thoroughly=False)
        self.watcher.look()
        self.assertEqual(len(self.work), 1)
        self.works()
        self.assertEqual(self.hosts, ["b.example"])
        self.write("p.yaml", provider("c"))
        self.works()  # tidies up
        self.assertEqual(len(self.work), 1)
        self.works()
        self.assertEqual(self.hosts, ["c.example"])
        self.works()
        self.assertEqual(self.work, [])

    def test_it_comes_before_the_tidying_where_a_hint_waits(self) -> None:
        told: list[Generation] = []
        self.patch(self.watcher._tidying, "_told", told.append)
        old = weakref.ref(self.generations.pop())
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.watcher.look(thoroughly=False)
        self.works()
        self.write("p.yaml", provider("c"))
        self.works()
        self.assertEqual(self.hosts, ["c.example"])
        self.assertEqual(told, [])
        self.watcher.look(thoroughly=False)
        self.works()  # tidies up: so much must not wait twice
        self.assertEqual(told, self.generations)
        del self.generations[0], told[:]
        self.assertIsNone(old())
        self.works()
        self.assertEqual(self.work, [])

    def test_a_hint_ends_the_tidying_for_a_while(self) -> None:
        self.write("p.yaml", provider("b"))
        old = self.watcher._tidying._pieces
        self.watcher.look()
        self.works()
        self.watcher.look(thoroughly=False)
        self.works()
        self.assertEqual(len(old), 3)  # the state of the tenant and what it consists of
        self.works()  # looks
        self.assertEqual(len(old), 3)
        self.works()
        self.assertEqual(old, [])
        self.assertEqual(self.work, [])

    def test_after_a_look_that_failed_it_is_tidied_too(self) -> None:
        told: list[Generation] = []
        self.patch(self.watcher._tidying, "_told", told.append)
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.watcher.look(thoroughly=False)
        self.works()
        self.work.pop()[0].errback(RuntimeError("can't start new thread"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.works()
        self.assertEqual(len(told), 1)

    def test_a_look_that_ends_after_the_stop_changes_nothing(self) -> None:
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.watcher.stopService()
        self.works()
        self.assertEqual(self.hosts, ["a.example"])
        self.assertEqual(self.work, [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nor_does_one_that_is_asked_for_then(self) -> None:
        self.watcher.stopService()
        self.watcher.look()
        self.assertEqual(self.work, [])

    def test_a_worker_that_cannot_work_ends_nothing(self) -> None:
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.work.pop()[0].errback(RuntimeError("can't start new thread"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.watcher, "_in_worker", lambda *arguments: 1 / 0)
            self.watcher.look()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.watcher.look()
        self.works()
        self.assertEqual(self.hosts, ["b.example"])

    def test_it_runs_before_it_is_observed(self) -> None:
        """To watch a thousand folders anew takes its time."""
        self.write("acme/q.yaml", provider("b"))
        self.watcher.look()
        self.works()
        self.assertEqual(self.hosts, ["a.example", "b.example"])
        self.assertEqual(len(FakeInotify.made), 1)
        self.works()
        self.assertEqual(len(FakeInotify.made), 2)
        self.assertIn(str(self.conf / "acme"), self.observer.watched)

    def test_everything_is_told_before_the_old_is_let_go(self) -> None:
        told: list[Generation] = []
        self.patch(self.watcher._tidying, "_told", told.append)
        old = weakref.ref(self.generations.pop())
        self.write("p.yaml", provider("b"))
        self.watcher.look()
        self.works()
        self.assertEqual(told, [])
        self.assertIsNotNone(old())
        self.works()
        self.assertEqual(told, self.generations)
        self.assertIsNone(old())


class TimesTests(WatcherTestCase):
    """Files that seem unchanged are not read, but every ten seconds."""

    def setUp(self) -> None:
        super().setUp()
        self.reads: list[str] = []
        opened = os.open

        def counted(path: Any, *arguments: Any, **options: Any) -> int:
            if str(path).endswith(".yaml"):
                self.reads.append(os.path.basename(path))
            return opened(path, *arguments, **options)

        self.patch(os, "open", counted)
        self.patch(file_content, "_FRESH_SECONDS", -3600.0)
        self.write("q.yaml", provider("q"))
        self.start()
        self.reads.clear()

    def test_what_seems_unchanged(self) -> None:
        self.write("p.yaml", provider("b"))
        self.watcher.look(thoroughly=False)
        self.assertEqual(self.reads, ["p.yaml"])
        self.watcher.look(thoroughly=False)
        self.assertEqual(self.reads, ["p.yaml"])

    def test_a_change_that_the_times_do_not_show(self) -> None:
        times = os.stat(self.conf / "p.yaml")
        content = file_content.read_content(self.conf / "p.yaml")
        self.write("p.yaml", provider("b"))
        self.patch(file_content, "signature_of", lambda status: content.signature)
        self.assertEqual(os.stat(self.conf / "p.yaml").st_ino, times.st_ino)
        self.watcher.look(thoroughly=False)
        self.assertEqual(self.hosts, ["a.example", "q.example"])
        self.clock.advance(RESCAN_SECONDS)
        self.assertEqual(self.hosts, ["b.example", "q.example"])

    def test_a_fresh_file_is_read_again(self) -> None:
        """Its times may not show that it changed twice within one tick of their clock."""
        self.patch(file_content, "_FRESH_SECONDS", 3600.0)
        self.watcher.look()
        self.reads.clear()
        self.watcher.look(thoroughly=False)
        self.assertEqual(self.reads, ["p.yaml", "q.yaml"])


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
            in_worker=maybeDeferred,
        )
        watcher.startService()
        observation = watcher._events._observation
        assert observation is not None
        self.assertTrue(observation.holds)
        watcher.stopService()
        observation._inotify.join(5)
        self.assertFalse(observation.holds)
