"""Places are bounded, shared fairly, and waited for only as long as an answer is of use."""

import threading
import time
from contextlib import ExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from image_retrieval.service.asking import Asker
from image_retrieval.service.errors import Refused
from image_retrieval.service.places import RESTS, Places

SECONDS = 20  # within which what must happen has happened, on however busy a machine


class Work(threading.Thread):
    """Somebody who asks for a place, and keeps it until told to leave."""

    def __init__(self, places: Places, asker: Asker) -> None:
        super().__init__(daemon=True)
        self._places, self.asker = places, asker
        self.entered, self.leave = threading.Event(), threading.Event()
        self.refused: Refused | None = None
        self.start()

    def run(self) -> None:
        try:
            with self._places.place(self.asker):
                self.entered.set()
                self.leave.wait(SECONDS)
        except Refused as refused:
            self.refused = refused

    def end(self) -> Refused | None:
        self.leave.set()
        self.join(SECONDS)
        assert not self.is_alive()
        return self.refused


def queued(places: Places, client: str, waiting: int) -> Work:
    """Somebody who waits, as the last of so many."""
    work = Work(places, Asker(client))
    until = time.monotonic() + SECONDS
    while places.waiting() != waiting:
        assert time.monotonic() < until
        time.sleep(0.001)
    return work


def working(places: Places, client: str) -> Work:
    work = Work(places, Asker(client))
    assert work.entered.wait(SECONDS)
    return work


def test_who_comes_when_all_places_are_taken_waits_for_one():
    places = Places("work", 2, waiting=4)
    first, second = working(places, "a"), working(places, "b")
    third = queued(places, "c", 1)
    assert not third.entered.is_set()
    assert first.end() is None
    assert third.entered.wait(SECONDS)
    assert [second.end(), third.end()] == [None, None]


def test_beyond_those_who_may_wait_everybody_is_sent_away_at_once():
    places = Places("work", 1, waiting=1)
    first = working(places, "a")
    second = queued(places, "b", 1)
    refused = Work(places, Asker("c")).end()
    assert (refused.status, refused.code, refused.wait) == (503, "busy", 2)
    assert [first.end(), second.end()] == [None, None]


def test_one_client_leaves_a_place_to_others():
    places = Places("work", 3, waiting=4, each=2)
    own = [working(places, "greedy"), working(places, "greedy")]
    third = queued(places, "greedy", 1)
    other = working(places, "other")
    assert not third.entered.is_set()
    assert own[0].end() is None
    assert third.entered.wait(SECONDS)
    assert [work.end() for work in (own[1], third, other)] == [None] * 3


def test_a_free_place_goes_to_who_has_used_them_least():
    places = Places("work", 1, waiting=8)
    first = working(places, "greedy")
    greedy = [queued(places, "greedy", number + 1) for number in range(3)]
    other = queued(places, "other", 4)
    time.sleep(0.01)  # used by the first
    first.end()
    assert other.entered.wait(SECONDS)
    assert not any(work.entered.is_set() for work in greedy)
    other.end()
    for work in greedy:
        assert work.end() is None


def test_where_all_wait_the_last_of_who_has_most_makes_room():
    places = Places("work", 1, waiting=2)
    first = working(places, "greedy")
    waits, last = queued(places, "greedy", 1), queued(places, "greedy", 2)
    other = Work(places, Asker("other"))
    last.join(SECONDS)
    assert last.refused is not None
    assert last.refused.code == "busy"
    assert places.waiting() == 2
    assert [work.end() for work in (first, other, waits)] == [None] * 3


def test_nobody_waits_longer_than_an_answer_is_of_use():
    places = Places("work", 1, waiting=2)
    first = working(places, "a")
    late = Work(places, Asker("b", time.monotonic() + 0.05))
    late.join(SECONDS)
    assert (late.refused.status, late.refused.code) == (503, "too_slow")
    assert places.waiting() == 0
    gone = queued(places, "c", 1)
    gone.asker.give_up()
    assert gone.end().code == "too_slow"
    assert first.end() is None


def test_who_is_too_late_gets_no_place_though_one_is_free():
    places = Places("work", 1, waiting=2)
    refused = Work(places, Asker("a", time.monotonic() - 1)).end()
    assert refused.code == "too_slow"
    assert working(places, "b").end() is None


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_never_more_than_the_bounds_work_and_every_place_comes_back(size, waiting, clients, each):
    places = Places("work", size, waiting, each)
    at_once, most, lock, per_client = 0, 0, threading.Lock(), dict.fromkeys("abc", 0)
    codes: set[str] = set()

    def work(client: str) -> None:
        nonlocal at_once, most
        try:
            with places.place(Asker(client, time.monotonic() + SECONDS)):
                with lock:
                    at_once += 1
                    per_client[client] += 1
                    most = max(most, at_once)
                    assert per_client[client] <= each
                time.sleep(0.0005)
                with lock:
                    at_once -= 1
                    per_client[client] -= 1
        except Refused as refused:
            codes.add(refused.code)

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert most <= size
    assert codes <= {"busy"}
    assert places.waiting() == 0
    with ExitStack() as all_places:
        for number in range(size):
            all_places.enter_context(places.place(Asker(str(number), time.monotonic() + SECONDS)))


def test_work_is_ended_when_it_is_too_late_and_only_then():
    ended = threading.Event()
    with Asker("a", time.monotonic() + 0.05).ending(ended.set) as late:
        assert ended.wait(SECONDS)
    assert late.is_set()
    never, asker = threading.Event(), Asker("b", time.monotonic() + SECONDS)
    with asker.ending(never.set) as late:
        pass
    asker.give_up()
    assert not late.is_set()
    assert not never.is_set()
    with asker.ending(never.set) as late:
        assert late.is_set()
    assert never.is_set()


def test_a_place_rests_where_it_would_slow_others_that_are_spared():
    spared = Places("a moment's work", 4, waiting=4)
    places = Places("long work", 1, waiting=4, spares=spared)
    with spared.place(Asker("a")):
        pass
    for client in ("a", "a"):  # nobody else's work is there to be spared
        working(places, client).end()
    started = time.monotonic()
    first = working(places, "b")
    time.sleep(0.1)
    first.end()
    with spared.place(Asker("b")):  # its own counts no more than others'
        pass
    assert working(places, "b").end() is None
    assert time.monotonic() - started >= 0.1 * (1 + RESTS)


def test_what_an_asker_holds_is_held_once_and_until_its_answer_is_written():
    places, asker = Places("work", 2, waiting=0), Asker("a", holds=True)
    for _ in range(3):
        with asker.held(places, lambda: places.place(asker)):
            pass
    other = working(places, "b")
    refused = Work(places, Asker("c"))
    refused.join(SECONDS)
    assert refused.refused is not None
    asker.release()
    assert working(places, "c").end() is None
    other.end()
