"""`${NAME}` and `${file:/absolute/path}` in what operators write.

What comes from outside is never shown: complaints name the variable or the file, not what was in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

from attrs import field, frozen

from gateway.messages import Secret
from gateway.resources.problems import printable

SECRET_FILE_BYTES = 64 * 1024
"""A key is some hundred bytes, a service account's file some kilobytes."""


@frozen
class Expanded:
    """A text with its references replaced."""

    text: str = field(repr=False)
    from_outside: bool
    """Something in it came from the environment or a file."""


_FILE = "file:"


def secret_file(reference: str) -> str | None:
    """The absolute path that `${file:…}` names, or None where a reference names none."""
    path = reference.removeprefix(_FILE)
    return path if reference.startswith(_FILE) and path.startswith("/") and "\0" not in path else None


class Expansion:
    """Replaces references for one reading of all files: each file is read once, so equal references agree."""

    def __init__(self, environment: Mapping[str, str], read_file: Callable[[str], bytes]) -> None:
        """Set up.

        :param read_file: the content of a file by absolute path; raises OSError.
        """
        self._environment = environment
        self._read_file = read_file
        self._outcomes: dict[str, tuple[str | None, str]] = {}
        self._given: set[str] = set()
        self._references: dict[str, str] = {}

    def take_references(self) -> Mapping[str, str]:
        """What was named since this was last asked: each reference with the digest of what it stood for.

        Where it stood for nothing it is the reason, so that another reason is another configuration.
        """
        references, self._references = self._references, {}
        return references

    def agrees(self, references: Mapping[str, str]) -> bool:
        """Tell whether these references stand for the same now as when they were taken."""
        return all(self._outcome(name)[1] == digest for name, digest in references.items())

    def take_given(self) -> tuple[Secret, ...]:
        """Every value that was put in place of a reference since this was last asked."""
        given, self._given = self._given, set()
        return tuple(Secret(value) for value in sorted(given))

    def expand(self, text: str, complain: Callable[[str], None]) -> Expanded | None:
        """Replace every reference, or complain about each that has no value and return None."""
        pieces: list[str] = []
        complaints: set[str] = set()
        from_outside = False
        done = 0
        while (begin := text.find("${", done)) >= 0:
            if begin > done and text[begin - 1] == "$":
                pieces.append(text[done : begin - 1] + "${")
                done = begin + 2
                continue
            from_outside = True
            end = text.find("}", begin)
            if end < 0:
                complaints.add(
                    "has a `${` without its closing brace; write `$${` for the two characters themselves"
                )
                break
            pieces.append(text[done:begin])
            try:
                value = self._value(text[begin + 2 : end])
                pieces.append(value)
                self._given.add(value)
            except ValueError as error:
                complaints.add(str(error))
            done = end + 1
        for complaint in sorted(complaints):
            complain(complaint)
        return None if complaints else Expanded("".join(pieces) + text[done:], from_outside)

    def _value(self, name: str) -> str:
        value, self._references[name] = self._outcome(name)
        if value is None:
            raise ValueError(self._references[name])
        return value

    def _outcome(self, name: str) -> tuple[str | None, str]:
        """What a reference stands for, and its digest; or None, and why it stands for nothing."""
        if name not in self._outcomes:
            try:
                value = self._looked_up(name)
                self._outcomes[name] = (value, sha256(value.encode()).hexdigest())
            except ValueError as error:
                self._outcomes[name] = (None, str(error))
        return self._outcomes[name]

    def _looked_up(self, name: str) -> str:
        if not name:
            raise ValueError(
                "has a `${}`, which names nothing; write `$${` for the two characters themselves"
            )
        if name.startswith(_FILE):
            path = secret_file(name)
            if path is None:
                raise ValueError(f"`${{{printable(name)}}}` needs an absolute path")
            return self._read(path)
        return self._variable(name)

    def _variable(self, name: str) -> str:
        value = self._environment.get(name)
        what = f"the environment variable {printable(name)}"
        if value is None:
            raise ValueError(f"{what} is not set")
        if not value:
            raise ValueError(f"{what} is empty")
        try:
            value.encode()  # undecodable bytes of the environment are lone surrogates here (PEP 383)
        except UnicodeEncodeError:
            raise ValueError(f"{what} is not valid UTF-8") from None
        return value

    def _read(self, path: str) -> str:
        what = f"the file {printable(path)}"
        try:
            content = self._read_file(path)
        except OSError as error:
            raise ValueError(f"{what} cannot be read: {error.strerror or type(error).__name__}") from None
        if len(content) > SECRET_FILE_BYTES:
            raise ValueError(f"{what} has more than {SECRET_FILE_BYTES:,} bytes")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{what} is not valid UTF-8") from None
        text = text.removesuffix("\n")  # editors and `echo` end a file with one
        if not text:
            raise ValueError(f"{what} is empty")
        return text
