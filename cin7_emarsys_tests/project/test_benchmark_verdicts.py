"""The verdicts of the back-in-stock benchmark on sequences made by hand."""

from __future__ import annotations

from benchmarks.judging import Course, Mail, Shown, Span, hidden, judge, restocks

HOUR = 3600.0
END = 100 * HOUR


def back(at: float, stock_at: float, sku: str = "A") -> Mail:
    return Mail("back_in_stock", sku, at * HOUR, stock_at * HOUR)


def course(*steps: tuple[float, int]) -> Course:
    return [(at * HOUR, units) for at, units in steps]


def shown(*steps: tuple[float, bool]) -> Shown:
    return [(at * HOUR, on) for at, on in steps]


def test_a_restock_follows_nothing_and_lasts_two_hours_without_a_break() -> None:
    assert restocks("A", course((0, 5)), END) == []  # never away
    assert restocks("A", course((0, 5), (10, 0), (20, 3), (21.9, 0)), END) == []
    assert restocks("A", course((0, 5), (10, 0), (20, 3), (21, 1), (22, 0)), END) == [Span("A", 20 * HOUR, 22 * HOUR)]
    broken = course((0, 0), (20, 3), (21, 0), (21.1, 3), (22.5, 0), (99, 1))
    assert restocks("A", broken, END) == []
    assert restocks("A", course((0, 0), (50, 1)), END) == [Span("A", 50 * HOUR, END)]


def test_wrong_is_judged_at_the_snapshot_and_overtaken_between_snapshot_and_mail() -> None:
    steps = course((0, 0), (10, 4), (11, 0))
    for stock_at, at, wrong, overtaken in ((9.9, 10.5, 1, 0), (10, 10.5, 0, 0), (10.5, 11, 0, 1), (11, 12, 1, 0)):
        verdict = judge({"A": steps}, {}, [back(at, stock_at)], END)
        assert (verdict.mails, verdict.wrong, verdict.overtaken) == (1, wrong, overtaken), (stock_at, at)


def test_low_stock_mails_can_be_wrong_and_announce_nothing() -> None:
    steps = {"A": course((0, 0), (10, 4))}
    low = Mail("low_stock", "A", 12 * HOUR, 11 * HOUR)
    verdict = judge(steps, {}, [low], END)
    assert (verdict.wrong, verdict.restocks, verdict.never, verdict.median_delay_s) == (0, 1, 1, None)
    assert judge(steps, {}, [Mail("low_stock", "A", 9 * HOUR, 8 * HOUR)], END).wrong == 1
    assert judge(steps, {}, [Mail("low_stock", "unknown", 9 * HOUR, 8 * HOUR)], END).wrong == 1


def test_a_restock_is_announced_by_a_mail_whose_stock_is_of_it() -> None:
    steps = course((0, 0), (10, 4), (20, 0), (30, 4), (40, 0), (50, 4))
    mails = [back(5, 4), back(11, 10), back(12, 11), back(41, 39), back(45, 42), back(53, 51, "B")]
    verdict = judge({"A": steps}, {}, mails, END)
    assert verdict.restocks == 3
    assert verdict.never_announced == (Span("A", 50 * HOUR, END),)
    assert verdict.median_delay_s == (1 + 11) / 2 * HOUR  # the first mail of each counts


def test_needless_is_a_mail_about_what_had_not_run_out() -> None:
    view = shown((0, True), (10, False), (12, True))
    verdict = judge({"A": course((0, 4))}, {"A": view}, [back(12, 11.9)], END)
    assert (verdict.needless, verdict.wrong) == (1, 0)
    ran_out = {"A": course((0, 4), (9.5, 0), (11, 4))}
    assert judge(ran_out, {"A": view}, [back(12, 11.9)], END).needless == 0


def test_hidden_hours_are_those_sellable_and_shown_as_away() -> None:
    steps, view = course((0, 0), (10, 4), (30, 0)), shown((0, False), (15, True), (50, False))
    assert hidden(steps, view, END) == (5 * HOUR, 20 * HOUR)
    assert hidden(steps, (), END) == (20 * HOUR, 20 * HOUR)  # never listed
    verdict = judge({"A": steps, "B": course((0, 1))}, {"A": view, "B": shown((0, True))}, [], END)
    assert verdict.hidden_share == 5 / 120
