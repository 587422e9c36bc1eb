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


def test_a_request_soon_after_one_for_another_layer_may_be_passed_over_and_is_repeated_soon() -> None:
    throttle = KeyframeThrottle()
    throttle.other_asked(10.0)
    assert throttle.request(10.25)
    assert [step / 100 for step in range(1025, 1200) if throttle.due(step / 100)] == [10.4, 11.4]


def test_a_request_long_after_one_for_another_layer_has_its_time() -> None:
    throttle = KeyframeThrottle()
    throttle.other_asked(10.0)
    assert throttle.request(10.5)
    assert not throttle.due(11.4)


def test_who_has_a_picture_waits_until_it_was_calm_and_who_has_none_does_not() -> None:
    throttle = KeyframeThrottle()
    throttle.other_asked(10.0)
    assert not throttle.request(10.3, patient=True)
    assert throttle.waiting
    assert not throttle.due(10.9)
    assert throttle.due(11.0)
    throttle.key_frame_seen(11.1)
    assert not throttle.request(11.2, patient=True)
    assert throttle.request(11.5)


def test_a_key_frame_for_somebody_else_serves_the_patient_too() -> None:
    throttle = KeyframeThrottle()
    throttle.other_asked(10.0)
    throttle.request(10.3, patient=True)
    throttle.key_frame_seen(10.5)
    assert not throttle.due(20.0)


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
