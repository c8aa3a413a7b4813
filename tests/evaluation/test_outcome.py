import math
from dataclasses import replace

import numpy as np
import pytest
from attack_bed import digits, same, standard

from leanat.attacks.autoattack import Ensemble
from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.evaluation.evaluate import evaluate
from leanat.evaluation.outcome import Outcome, accuracy, arrays, load, summary, worst_case

LINF = Linf(0.15)
ATTACK = PGD(LINF, 5, 0.05, "uniform")


@pytest.fixture(scope="module")
def bed():
    return standard(), digits()[1]


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (153, 200), (4541, 10000)])
def test_wilson_interval(k, n):
    z, p = 1.959963984540054, k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    got = accuracy(np.arange(n) < k)
    assert got["accuracy"] == k / n
    assert got["low"] == pytest.approx(centre - half, abs=1e-12)
    assert got["high"] == pytest.approx(centre + half, abs=1e-12)


def outcome(correct, loss, parts=("a",), broken_by=None):
    correct = np.array(correct)
    n = len(correct)
    broken = np.where(correct, -1, 0) if broken_by is None else np.array(broken_by)
    return Outcome(
        index=np.arange(n) + 5,
        label=np.zeros(n, np.int64),
        predicted=(~correct).astype(np.int64),
        clean_correct=np.ones(n, bool),
        correct=correct,
        loss=np.array(loss, np.float32),
        linf=np.array(loss, np.float32),
        l2=np.array(loss, np.float32),
        broken_by=broken.astype(np.int16),
        parts=parts,
        notes=("doubtful",),
    )


def test_worst_case():
    a = outcome([True, True, False, False], [1, 5, 3, 2])
    b = outcome([True, False, True, False], [2, 4, 9, 7], ("b", "c"), [-1, 1, -1, 0])
    worst = worst_case([a, b])
    assert worst.correct.tolist() == [True, False, False, False]
    assert worst.loss.tolist() == [2, 4, 3, 7]  # misclassified first, then the higher loss
    assert worst.linf.tolist() == [2, 4, 3, 7]
    assert worst.broken_by.tolist() == [-1, 2, 0, 0]
    assert worst.parts == ("a", "b", "c")
    assert worst.notes == ("doubtful",)
    assert summary(worst)["after"] == {"a": 0.5, "b": 0.5, "c": 0.25}
    assert a.correct.tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match="different examples"):
        worst_case([a, replace(b, index=b.index + 1)])


def test_worst_case_of_two_attacks_is_no_better_than_either(bed):
    outcomes = [evaluate(*bed, attack, seed=0) for attack in (ATTACK, replace(ATTACK, loss="margin"))]
    worst = worst_case(outcomes)
    assert np.array_equal(worst.correct, outcomes[0].correct & outcomes[1].correct)


# Files


def test_a_file_holds_everything(bed, tmp_path):
    written = evaluate(*bed, Ensemble(LINF, ("apgd-ce", "square"), 2, 3, 4), seed=0, limit=30)
    none = Outcome(**{k: v if k in ("parts", "notes") else v[:0] for k, v in vars(written).items()})
    for value in (written, replace(written, notes=("a, b", "ℓ∞")), none):
        np.savez(tmp_path / "x.npz", **arrays(value))
        read = load(tmp_path / "x.npz")
        same(read, value, tolerance=0)
        assert all(np.asarray(v).dtype == np.asarray(getattr(read, k)).dtype for k, v in vars(value).items())


def test_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **arrays(outcome([True, False], [1, 2])))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"x\.npz"):
        load(path)
    np.savez(path, index=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match=r"x\.npz"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="lengths"):
        replace(outcome([True], [1]), label=np.zeros(2))
