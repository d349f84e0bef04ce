"""Elements as text: nothing gets into the page but what it was meant for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.page.markup import Html, html, table, tags
from gateway.serving.page.wording import stranger
from tests.serving.page.reader import Reader


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    return reader


@given(st.text(alphabet=st.characters(), max_size=40) | st.text(alphabet="<>&\"'/= ab;#x0\x00", max_size=40))
def test_any_text_is_what_a_browser_reads(text: str) -> None:
    reader = read(tags.p(text, title=text))
    assert reader.text == stranger(text)
    assert (reader.elements, reader.attributes) == (["p"], [("title", stranger(text))])


def test_what_is_html_is_not_escaped_again() -> None:
    assert tags.p(tags.b("<"), ["a", tags.br()]) == "<p><b>&lt;</b>a<br></p>"
    assert html("<") == html(html("<")) == "&lt;"


def test_what_is_put_together_with_html_is_text() -> None:
    assert tags.p(Html("<b>") + "<") == "<p>&lt;b&gt;&lt;</p>"
    assert tags.p(f"{Html('<b>')}") == "<p>&lt;b&gt;</p>"


def test_attributes() -> None:
    assert (
        tags.input(name="a", class_="b", title=None, **{"data-c": "d"})
        == '<input name="a" class="b" data-c="d">'
    )


def test_a_row_has_a_cell_for_each_heading_and_is_known_by_its_name() -> None:
    made = table(("who", "how many"), [("row <1>", ("acme", "0"))], numbers_from=1)
    reader = read(made)
    assert reader.text == "whohow manyacme0"
    assert ("data-key", "row <1>") in reader.attributes
    assert ("data-label", "how many") in reader.attributes
    assert ('<td class="number" data-label="how many"><div class="nothing">0</div></td>') in made
