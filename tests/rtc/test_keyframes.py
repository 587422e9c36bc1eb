from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtc.keyframes import KeyframeThrottle


def test_the_first_request_goes_out_at_once() -> None:
    assert KeyframeThrottle().request(0.0)


def test_a_request_inside_the_interval_is_kept_and_released() -> None:
    throttle = KeyframeThrottle(0.3)
    assert throttle.request(0.0)
    throttle.key_frame_seen(0.05)
    assert not throttle.request(0.1)
    assert not throttle.due(0.29)
    assert throttle.due(0.3)
    assert not throttle.due(0.5)


def test_a_key_frame_answers_what_was_kept() -> None:
    throttle = KeyframeThrottle(0.3)
    throttle.request(0.0)
    throttle.request(0.1)
    throttle.key_frame_seen(0.2)
    assert not throttle.waiting
    assert not throttle.due(5.0)


def test_an_unanswered_request_is_repeated() -> None:
    throttle = KeyframeThrottle(0.3, repeat_after=1.0)
    throttle.request(0.0)
    assert [step / 10 for step in range(35) if throttle.due(step / 10)] == [1.0, 2.0, 3.0]


def test_nothing_is_due_before_anybody_asked() -> None:
    assert not KeyframeThrottle().due(100.0)


@given(st.lists(st.tuples(st.sampled_from("rdk"), st.integers(0, 500)), max_size=100))
def test_the_sender_is_never_asked_twice_in_an_interval_and_no_wish_is_lost(
    steps: list[tuple[str, int]],
) -> None:
    throttle = KeyframeThrottle(300, 1000)  # whole milliseconds here, so that no sum is rounded
    now, sent, wish = 0, -1000, False
    for kind, pause in steps:
        now += pause
        if kind == "k":
            throttle.key_frame_seen(now)
            wish = False
            continue
        wish = wish or kind == "r"
        if throttle.request(now) if kind == "r" else throttle.due(now):
            assert now - sent >= 300
            sent, wish = now, False
    if wish:
        assert throttle.due(now + 300)
