"""Ten thousand requests of every kind: the metrics, the access log and the simulator's own books agree.

The drive is `python -m bench books`; what it sends stands in `bench/bookings.py`, what must agree in
`bench/reconciling.py`.
"""

from __future__ import annotations

from tests.whole.test_drives import drive


def test_all_books_agree() -> None:
    assert " 0 disagreements: good" in drive("books", "--requests", "10000")
