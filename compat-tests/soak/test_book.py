"""The ledger of the soak: it has to notice every kind of broken promise."""

from book import Book


def written(exactly_once=False):
    """A book of two messages that were sent and confirmed."""
    book = Book("test", exactly_once)
    for number in book.give(2):
        book.note_sent(number)
        book.note_confirmed(number)
    return book


def balances(book):
    """Whether nothing is wrong with it."""
    return not (book.missing() or book.unconfirmed() or book.doubled() or book.strangers)


def test_a_book_balances_when_everything_arrived_once():
    book = written()
    book.note_received(0, again=False)
    assert book.missing() == [1]
    book.note_received(1, again=True)
    assert balances(book)


def test_a_message_may_arrive_as_often_as_it_was_sent_or_announced_as_a_repetition():
    book = written()
    for number in range(2):
        book.note_received(number, again=False)
    book.note_received(0, again=True)
    assert balances(book)
    book.note_received(0, again=False)
    assert book.doubled() == [0]
    book.note_sent(0)
    assert balances(book)


def test_exactly_once_excuses_nothing():
    book = written(exactly_once=True)
    for number in range(2):
        book.note_received(number, again=False)
    assert balances(book)
    book.note_sent(0)
    book.note_received(0, again=True)
    assert book.doubled() == [0]


def test_what_was_never_confirmed_or_never_sent_is_noticed():
    book = written()
    third = book.give(1)[0]
    book.note_sent(third)
    assert book.unconfirmed() == [2]
    book.note_received(7, again=False)
    assert book.strangers == [7]


def test_a_crash_excuses_one_more_arrival_of_what_had_just_come():
    book = written()
    for number in range(2):
        book.note_received(number, again=False)
    book.note_crash()
    book.note_received(0, again=False)
    assert balances(book)
    book.note_received(0, again=False)
    assert book.doubled() == [0]
    exact = written(exactly_once=True)
    for number in (0, 1):
        exact.note_received(number, again=False)
    exact.note_crash()
    exact.note_received(1, again=True)
    assert exact.doubled() == [1]
