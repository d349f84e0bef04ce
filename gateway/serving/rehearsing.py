"""What would come of other files than those that run: loaded as if they lay in conf.d, and thrown away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from attrs import evolve, frozen

from gateway.resources import Problem, SourceFile
from gateway.resources.reading import NO_READINGS, at_full_speed
from gateway.serving.questions import asked
from gateway.snapshot.differing import Change, changes, in_words
from gateway.watcher.discarding import discard, out_of_the_collectors_way
from gateway.watcher.folder import Contents
from gateway.watcher.loading import Loaded, LoadSettings, load


class ProposedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that would lie in conf.d."""

    path: str
    """Below conf.d: `acme/chat.yaml`."""
    content: bytes
    """In JSON as base64."""


class Proposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of conf.d, as it would be."""

    folder: str
    """What its owner calls it; answers name files by it."""
    files: tuple[ProposedFile, ...]
    unreadable: tuple[Problem, ...] = ()
    """Files that are there and cannot be read, by their path below conf.d."""


@frozen
class Rehearsal:
    """What would come of a proposal."""

    problems: tuple[Problem, ...]
    changes: tuple[Change, ...]
    """Keys and other secrets are not compared."""
    hosts: int
    """How many would be answered for."""
    tenants: int
    """How many would be served."""

    @property
    def errors(self) -> int:
        """How many of the problems would keep something from being adopted."""
        return sum(problem.severity == "error" for problem in self.problems)

    def text(self) -> str:
        """All of it, to be read."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for problem in self.problems:
            yield str(problem) if problem.severity == "error" else f"warning: {problem}"
        for text in in_words(self.changes):
            yield f"would change: {text}"
        if not self.changes:
            yield "nothing would change, as far as can be told without comparing secrets"
        yield f"{counted(self.errors, 'problem')}; {hosts_of(self.hosts, self.tenants)} would be answered for"


def proposal_of(text: bytes) -> Proposal:
    """The proposal that this JSON makes.

    :raises ValueError: as `asked` does.
    """
    return asked(text, Proposal)


def proposal_from(folder: Path, contents: Contents) -> Proposal:
    """What a folder proposes, every file by its path below."""

    def below(path: str) -> str:
        return str(Path(path).relative_to(folder))

    return Proposal(
        folder=str(folder),
        files=tuple(ProposedFile(below(file.path), file.content) for file in contents.files),
        unreadable=tuple(
            evolve(problem, position=evolve(problem.position, file=below(problem.position.file)))
            for problem in contents.problems
        ),
    )


def rehearse(
    proposal: Proposal,
    running: Loaded | None,
    conf: Path,
    settings: LoadSettings,
    pace: Callable[[], None] = at_full_speed,
) -> Rehearsal:
    """Load these files as if they lay in conf.d now.  Nothing is adopted, counted or logged.

    What came of a running file is taken for a proposed one of the same name and content, where its `${…}` stand for
    the same; so of a thousand files only those are read that are different.

    :param running: what runs.
    :param conf: conf.d itself, whose files the running ones are.
    :param pace: called now and then; it may wait.
    """
    theirs = _renamer(str(conf), proposal.folder)
    last, known = (running.generation, running.readings) if running is not None else (None, NO_READINGS)
    with out_of_the_collectors_way():
        generation = load(_contents(proposal, conf), last, settings, known=known, pace=pace).generation
    rehearsal = Rehearsal(
        problems=tuple(theirs(problem) for problem in generation.problems),
        changes=tuple(changes(last, generation, tells_secrets=False, pace=pace)),
        hosts=generation.snapshot.hosts,
        tenants=len(generation.snapshot.tenants),
    )
    if last is not None:
        thrown_away = [generation]
        del generation
        discard(thrown_away, last, pace)
    return rehearsal


def _contents(proposal: Proposal, conf: Path) -> Contents:
    """The proposal as the folder would give it, under the names of the running files."""
    return Contents(
        files=tuple(
            SourceFile(path=f"{conf}/{file.path}", folder=file.path.rpartition("/")[0], content=file.content)
            for file in proposal.files
        ),
        problems=tuple(
            evolve(each, position=evolve(each.position, file=f"{conf}/{each.position.file}"))
            for each in proposal.unreadable
        ),
        digest="",
    )


def _renamer(ours: str, theirs: str) -> Callable[[Problem], Problem]:
    """Makes problems name files as their owner does, also where a message names another place."""
    place = re.compile(rf"(?<![^\s(]){re.escape(ours)}/")

    def renamed(problem: Problem) -> Problem:
        file = problem.position.file
        return evolve(
            problem,
            position=evolve(problem.position, file=theirs + file.removeprefix(ours)),
            message=place.sub(lambda found: f"{theirs}/", problem.message),
        )

    return renamed


def hosts_of(hosts: int, tenants: int) -> str:
    """`2 hosts of 1 tenant`."""
    return f"{counted(hosts, 'host')} of {counted(tenants, 'tenant')}" if tenants else "no host"


def counted(number: int, noun: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
