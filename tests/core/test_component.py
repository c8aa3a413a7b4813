"""@component: what a field may hold is its annotation, and what is wrong is one line each."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from annotated_types import Interval
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from leanat.core.component import Epochs, File, Fraction, by_name, component, from_json
from leanat.core.errors import ConfigError

Inner = Callable[[int], int]


@component("linear")
class Linear:
    slope: float

    def __call__(self, x):
        return self.slope * x


@component("whole")
class Whole:
    steps: PositiveInt
    share: Fraction = 1.0
    angle: Annotated[float, Interval(ge=0, lt=360)] = 0.0
    size: PositiveFloat | None = None
    mode: Literal["nearest", "bilinear"] = "nearest"
    drops: Epochs = ()
    pair: tuple[NonNegativeInt, Fraction] = (0, 1.0)
    on: bool = False
    folder: File = Path()
    inner: Inner = abs
    more: tuple[Inner, ...] = ()

    def __post_init__(self):
        if self.on and self.size is None:
            raise ValueError("on needs a size")


SLOTS = {Inner: ("inner part", by_name(Linear, Whole))}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"steps": 0}, "steps 0; allowed: 1 or more"),
        ({"steps": 2.0}, "steps 2.0; allowed: a whole number, 1 or more"),
        ({"steps": True}, "steps True; allowed: a whole number, 1 or more"),
        ({"steps": "2"}, "steps '2'; allowed: a whole number, 1 or more"),
        ({"share": 0}, "share 0; allowed: above 0, at most 1"),
        ({"share": "0.5"}, "share '0.5'; allowed: a finite number, above 0, at most 1"),
        ({"share": float("nan")}, "share nan; allowed: a finite number, above 0, at most 1"),
        ({"angle": 360}, "angle 360; allowed: from 0, below 360"),
        ({"angle": float("inf")}, "angle inf; allowed: a finite number, from 0, below 360"),
        ({"size": -1}, "size -1; allowed: above 0, or null"),
        ({"mode": "biliner"}, "mode 'biliner'; allowed: nearest, bilinear; did you mean bilinear?"),
        ({"drops": (3, 2)}, "drops (3, 2); allowed: epochs from 1 on, rising"),
        ({"drops": (3, 0)}, "drops[1] 0; allowed: 1 or more"),
        ({"pair": (1, 2)}, "pair[1] 2; allowed: above 0, at most 1"),
        ({"on": 1}, "on 1; allowed: true or false"),
        ({"folder": 3}, "folder 3; allowed: a path"),
        ({"on": True}, "on needs a size"),
        ({"step": 1}, "unknown key 'step'; did you mean steps?"),
    ],
)
def test_a_wrong_value_is_one_line_in_python_and_in_json(fields, problem):
    with pytest.raises(ValueError, match="Whole: ") as python:
        Whole(**{"steps": 1} | fields)
    assert str(python.value).startswith(f"Whole: {problem}")
    assert "\n" not in str(python.value)
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
    with pytest.raises(ConfigError) as json:
        from_json(Inner, {"whole": {"steps": 1} | as_json}, "spec.part", SLOTS)
    assert json.value.problems == [str(python.value).replace("Whole", "spec.part.whole")]


def test_a_missing_field_and_a_wrong_one_are_both_said():
    with pytest.raises(ValueError, match="key 'steps' is missing\nWhole: share 2; allowed"):
        Whole(share=2)
    with pytest.raises(ValueError, match="Linear: takes 1 fields: slope"):
        Linear(1.0, 2.0)


def test_json_becomes_objects():
    value = {"steps": 3, "share": 1, "drops": [1, 5], "folder": "a/b", "inner": {"linear": {"slope": 2}}, "size": None}
    built = from_json(Inner, {"whole": value}, "", SLOTS)
    assert built == Whole(3, drops=(1, 5), folder=Path("a/b"), inner=Linear(2.0))
    assert isinstance(built.share, float)
    assert hash(built) == hash(replace(built, steps=3))
    with pytest.raises(FrozenInstanceError):
        built.steps = 4


def test_all_problems_inside_are_said_at_once_and_each_once():
    value = {"steps": 0, "inner": "lin", "more": [{"linear": {"slope": "1"}}, {"linear": {}}], "on": True}
    with pytest.raises(ConfigError) as error:
        from_json(Inner, {"whole": value}, "part", SLOTS)
    assert error.value.problems == [
        "part.whole.inner: no inner part 'lin'; did you mean linear?; allowed: linear, whole",
        "part.whole.more[0].linear: slope '1'; allowed: a finite number",
        "part.whole.more[1].linear: key 'slope' is missing",
        "part.whole: steps 0; allowed: 1 or more",
    ]


def test_numbers_of_numpy_are_numbers():
    built = Whole(np.int64(3), share=np.float64(0.5), angle=np.float32(0.25))
    assert built == Whole(3, 0.5, 0.25)
    assert type(built.steps) is int
    with pytest.raises(ValueError, match="steps 0; allowed"):
        Whole(np.int64(0))


def test_a_type_must_stand_above():
    with pytest.raises(TypeError, match="Early: a type in its annotations stands below it"):

        @component()
        class Early:
            late: "Late"  # noqa: F821
