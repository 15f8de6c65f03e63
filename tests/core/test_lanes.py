"""Windows are strict, whoever gives a place back."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.intents import Window
from core.windows import Windows

_WINDOWS = st.lists(
    st.builds(Window, st.integers(1, 5), st.integers(1, 20).map(lambda s: timedelta(seconds=s))), max_size=3
).map(tuple)
_STEPS = st.lists(
    st.tuples(st.sampled_from(["send", "send", "send", "give back", "park"]), st.integers(0, 8)), max_size=80
)


def referee(sent: list[float], windows: tuple[Window, ...]) -> None:
    """In no half-open period of any window are more than its count."""
    for window in windows:
        period = window.period.total_seconds()
        for start in sent:
            inside = [at for at in sent if start <= at < start + period]
            assert len(inside) <= window.count


@given(_WINDOWS, _STEPS)
def test_never_more_than_the_count_in_any_period(
    windows: tuple[Window, ...], steps: list[tuple[str, int]]
) -> None:
    lane, now, parked = Windows(windows), 0.0, 0.0
    sent: list[float] = []
    for kind, seconds in steps:
        now += seconds
        at = lane.ready_at(now)
        assert at >= parked or at == now
        if kind == "park":
            parked = max(parked, now + seconds)
            lane.park(now + seconds)
        elif at <= now:
            lane.take(now)
            if kind == "give back":
                lane.give_back(now)
            else:
                sent.append(now)
                referee(sent, windows)


@given(_WINDOWS, st.lists(st.integers(0, 5), max_size=40))
def test_it_is_ready_as_soon_as_the_referee_allows(windows: tuple[Window, ...], steps: list[int]) -> None:
    """Strict, and no stricter: a place is refused only where one more send would break a window."""
    lane, now = Windows(windows), 0.0
    sent: list[float] = []
    for seconds in steps:
        now += seconds
        allowed = all(
            sum(at > now - window.period.total_seconds() for at in sent) < window.count for window in windows
        )
        assert (lane.ready_at(now) <= now) == allowed
        if allowed:
            lane.take(now)
            sent.append(now)


def test_a_place_given_back_is_the_one_that_was_taken() -> None:
    """Another lane may have taken its own meanwhile: the token's window must not become wider by it."""
    token = Windows((Window(2, timedelta(seconds=10)),))
    token.take(1.0)
    token.take(4.0)
    token.give_back(1.0)
    token.take(4.5)
    assert token.ready_at(5.0) == 14.0


def test_places_that_no_window_counts_are_given_back_all_the_same() -> None:
    lane = Windows(())
    lane.take(0.0)
    lane.take(0.0)
    lane.give_back(0.0)
    lane.give_back(0.0)
    assert lane.ready_at(0.0) == 0.0
