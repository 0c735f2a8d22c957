from cin7_emarsys.sandbox.limits import Limiter


class Ticks:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_sliding_window_counts_only_accepted_calls() -> None:
    ticks = Ticks()
    limiter = Limiter(3, 60, monotonic=ticks)
    assert [limiter.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert limiter.take("b")
    ticks.now += 30
    assert not limiter.take("a")
    assert limiter.reset_in("a") == 30
    ticks.now += 30
    assert [limiter.take("a") for _ in range(4)] == [True, True, True, False]


def test_sliding_is_not_fixed() -> None:
    for fixed, expected in ((False, [True, False]), (True, [True, True])):
        ticks = Ticks()
        limiter = Limiter(2, 60, fixed=fixed, monotonic=ticks)
        limiter.take("a")
        ticks.now += 59
        limiter.take("a")
        ticks.now += 1
        assert [limiter.take("a"), limiter.take("a")] == expected


def test_no_limit_and_rounded_wait() -> None:
    assert all(Limiter(None, 1).take("a") for _ in range(1000))
    assert Limiter(60, 60).retry_after == "60 Seconds"
    assert Limiter(60, 1.2).retry_after == "2 Seconds"
