"""The book-keeping of the kill tests: it has to notice every kind of broken promise."""

import pytest

from support.ledger import check

SENT = set(range(1, 11))


def test_a_ledger_that_balances_is_accepted():
    check([3, 4, 5, 9], promised={3, 5}, gone={1, 2}, sent=SENT)


@pytest.mark.parametrize("kept, complaint", [
    ([3, 4], "lost"),
    ([2, 3, 5], "came back"),
    ([3, 5, 99], "nobody sent"),
    ([3, 3, 5], "duplicates"),
    ([5, 3], "order"),
])
def test_a_broken_promise_is_noticed(kept, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check(kept, promised={3, 5}, gone={1, 2}, sent=SENT)
