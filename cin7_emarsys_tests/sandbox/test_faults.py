"""The counting of faults, without HTTP."""

from typing import Any

import pytest

from cin7_emarsys.sandbox.faults import NAMES, Faults, default_specs


def fires(spec: dict[str, Any], calls: int, path: str = "/x?") -> list[int]:
    """The numbers of the calls at which the spec fires."""
    faults = Faults([spec])
    return [n for n in range(1, calls + 1) if faults.hit("truncated", "cin7", path)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"nth": 3}, [3]),
        ({"nth": 3, "times": 2}, [3, 4]),
        ({"every": 4}, [4, 8]),
        ({"every": 4, "times": 1}, [4]),
        ({"times": 2}, [1, 2]),
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"service": "emarsys"}, []),
        ({"path": "/X?"}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"path": "/y"}, []),
        ({"probability": 0.0}, []),
        ({"probability": 1.0, "times": 3}, [1, 2, 3]),
    ],
)
def test_when_a_fault_fires(spec: dict[str, Any], expected: list[int]) -> None:
    assert fires({"name": "truncated", **spec}, 9) == expected


def test_probability_follows_its_seed() -> None:
    spec = {"name": "truncated", "probability": 0.3}
    first, again, other = (fires({**spec, "seed": seed}, 200) for seed in (1, 1, 2))
    assert first == again != other
    assert 30 < len(first) < 90


def test_list_counts() -> None:
    faults = Faults([{"fault": "schema-change", "nth": 2}])
    for _ in range(3):
        faults.hit("schema-change", "cin7", "/product")
    faults.hit("schema-change", "emarsys", "/contact")
    assert faults.list() == [{"name": "schema-change", "nth": 2, "calls": 4, "fired": 1}]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "gremlin"}, ("gremlin", "throttle-429")),
        ({"name": "slow", "when": 3}, ("when", "nth", "probability")),
        ({"name": "slow", "nth": 0}, ("nth",)),
        ({"name": "slow", "every": "2"}, ("every", "int")),
        ({"name": "slow", "service": "omni"}, ("omni", "emarsys")),
        ("slow", ("object",)),
        ({}, ("None", "slow")),
    ],
)
def test_a_wrong_spec_is_named_and_nothing_changes(spec: Any, words: tuple[str, ...]) -> None:
    faults = Faults([{"name": "slow"}])
    with pytest.raises(ValueError, match=r"known|counts|is an object|is int") as problem:
        faults.set([spec])
    assert all(word in str(problem.value) for word in words)
    assert faults.list()[0]["name"] == "slow"


def test_default_specs_are_valid_and_stop() -> None:
    for name in NAMES:
        specs = default_specs([name])
        assert specs
        Faults(specs)
        assert all(spec["times"] <= 2 for spec in specs)
    everything = default_specs(NAMES)
    Faults(everything)
    assert {spec["name"] for spec in everything} == set(NAMES)
    with pytest.raises(ValueError, match="gremlin"):
        default_specs(["gremlin"])


def test_no_path_fails_for_ever_even_with_all_faults() -> None:
    faults = Faults(default_specs(NAMES))
    outcomes = [faults.transport("cin7", "GET", "/ExternalApi/v2/product?Page=1", NAMES) for _ in range(30)]
    assert outcomes[0]
    assert not outcomes[-1]
