"""What a browser makes of a document."""

from __future__ import annotations

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Gathers its elements, their attributes and its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All of them on end."""
        return "".join(self.texts)
