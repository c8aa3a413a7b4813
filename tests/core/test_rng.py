"""The random numbers: against SplitMix64 in pure Python, against their distributions, and for independence of streams."""

import hashlib
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from leanat.core import rng
from leanat.core.rng import Draws, key

MASK, GAMMA = 2**64 - 1, 0x9E3779B97F4A7C15
N = 100_000
UNLIKELY = 1e-5  # nothing here is drawn anew, so a test passes for ever or fails for ever


# SplitMix64 (Steele, Lea and Flood 2014, figure 17) in Python's unbounded integers.


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def splitmix(seed, n):
    return [mix((seed + i * GAMMA) & MASK) for i in range(1, n + 1)]


def unsigned(bits):
    return [z & MASK for z in bits.flatten().tolist()]


def test_the_reference_gives_the_published_sequence():
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert splitmix(1234567, 4) == expected
    assert splitmix(0, 3) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_the_finaliser_equals_the_reference_on_edges_and_at_random():
    edges = [0, 1, 2, MASK, MASK - 1, 2**63, 2**63 - 1, 2**63 + 1, GAMMA, *(1 << n for n in range(64))]
    z = torch.cat(
        [torch.tensor(np.array(edges, dtype=np.uint64).view(np.int64)), torch.randint(-(2**63), 2**63 - 1, (2000,))]
    )
    assert unsigned(rng._mix(z)) == [mix(v) for v in unsigned(z)]


@pytest.mark.parametrize("index", [0, 1, 59_999, 1_281_166, 2**40])
def test_the_bits_of_an_example_are_a_splitmix_sequence_of_its_own(index):
    text = b"3/crop/7/2"
    stream = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
    example = mix(mix((index * GAMMA + stream) & MASK))
    these = Draws(3, 7, torch.tensor([index]), view=2)
    assert unsigned(these.bits("crop")) == [example]
    assert unsigned(these.bits("crop", 2, 3)) == splitmix(example, 6)
    assert these.uniform("crop", 6)[0].tolist() == [(z >> 40) / 2**24 for z in splitmix(example, 6)]
    assert these.integers("crop", 9, 6)[0].tolist() == [(z >> 40) * 9 >> 24 for z in splitmix(example, 6)]


def test_normal_is_box_and_muller_of_the_top_and_the_bottom_bits():
    these = Draws(0, 0, torch.arange(500))
    bits = np.array(unsigned(these.bits("z", 4)), dtype=np.uint64)
    radius = np.sqrt(-2 * np.log(((bits >> np.uint64(40)) + np.uint64(1)) / 2**24))
    expected = radius * np.cos(2 * np.pi * (bits & np.uint64(0xFFFFFF)) / 2**24)
    np.testing.assert_allclose(these.normal("z", 4).flatten().numpy(), expected, atol=2e-5)


# One stream.


class Every24Bits(Draws):
    """All values of the top 24 bits once."""

    every = torch.arange(2**24) << 40

    def bits(self, purpose, *shape):
        return self.every


def test_uniform_is_any_multiple_of_two_to_the_minus_24_below_1():
    u = Every24Bits(0, 0, torch.arange(1)).uniform("u")
    assert u.dtype == torch.float32
    assert torch.equal(u.double() * 2**24, torch.arange(2**24).double())


@pytest.mark.parametrize("high", [1, 3, 10, 65_537])
def test_no_integer_is_favoured_by_more_than_one_value_of_24_bits(high):
    counts = Every24Bits(0, 0, torch.arange(1)).integers("i", high).bincount()
    assert len(counts) == high
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("high", [2, 3, 7, 100])
def test_integers_are_equally_frequent(high):
    drawn = Draws(0, 0, torch.arange(N)).integers("i", high)
    assert drawn.dtype == torch.int64
    assert stats.chisquare(np.bincount(drawn, minlength=high)).pvalue > UNLIKELY


@pytest.mark.parametrize("shape", [(), (100,)], ids=["over examples", "within examples"])
def test_uniform_numbers_are_uniform(shape):
    u = Draws(0, 0, torch.arange(N if shape == () else N // 100)).uniform("u", *shape).flatten()
    assert u.min() >= 0
    assert u.max() < 1
    assert stats.kstest(u.double(), "uniform").pvalue > UNLIKELY


def test_the_p_values_of_many_small_streams_are_themselves_uniform():
    p = [stats.kstest(Draws(s, e, torch.arange(500)).uniform(f"p{s}").double(), "uniform").pvalue
         for s, e in itertools.product(range(20), range(10))]  # fmt: skip
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_each_of_the_64_bits_is_set_half_of_the_time():
    assert worst_bit(Draws(0, 0, torch.arange(N)).bits("b")) < 5


def worst_bit(bits):
    """The largest deviation, in standard errors, of the share of ones among the 64 bits."""
    ones = ((bits[:, None] >> torch.arange(64)) & 1).sum(0)
    return float((2 * ones - len(bits)).abs().max() / len(bits) ** 0.5)


def test_normal_numbers_have_the_moments_and_the_distribution_of_the_normal():
    z = Draws(0, 0, torch.arange(1000)).normal("z", 500).flatten().double()
    assert z.isfinite().all()
    # Moments of N(0, 1), and the standard errors of their estimates: sqrt(var z^k / n).
    for k, (moment, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96), 6: (15, 10170)}.items():
        assert abs(z.pow(k).mean() - moment) < 4.5 * (variance / len(z)) ** 0.5, k
    assert stats.kstest(z, "norm").pvalue > UNLIKELY
    assert 4.3 < z.abs().max() < 5.8  # 24 bits end at sqrt(48 ln 2)


# Streams beside each other.


def dependence(a, b, cells=16):
    """The p-value of a chi-square test on cells x cells, and the correlation in standard errors."""
    table = np.histogram2d(a.numpy(), b.numpy(), cells, [[0, 1], [0, 1]])[0]
    chi = ((table - len(a) / cells**2) ** 2 / (len(a) / cells**2)).sum()
    r = float(np.corrcoef(a.double(), b.double())[0, 1])
    return stats.chi2.sf(chi, cells**2 - 1), abs(r) * len(a) ** 0.5


def assert_independent(a, b):
    p, r = dependence(a, b)
    assert p > UNLIKELY
    assert r < 4.5


OTHERS = {
    "purpose": (0, "b", 0, 0),
    "longer purpose": (0, "a/radius", 0, 0),
    "next epoch": (0, "a", 1, 0),
    "later epoch": (0, "a", 256, 0),
    "next seed": (1, "a", 0, 0),
    "next view": (0, "a", 0, 1),
    "all": (5, "c", 9, 3),
}


def stream(seed, purpose, epoch, view, *shape, n=N):
    return Draws(seed, epoch, torch.arange(n), view).bits(purpose, *shape)


def unit(bits):
    return rng._shift(bits, 40).float() * 2.0**-24


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_streams_of_another_purpose_seed_epoch_or_view_are_independent(other):
    mine, theirs = stream(0, "a", 0, 0), stream(*other)
    assert_independent(unit(mine), unit(theirs))
    assert_independent(unit(mine), unit(theirs << 24))  # lower bits too
    assert worst_bit(mine ^ theirs) < 5
    # One number an example, and many, are streams of their own.
    assert_independent(unit(mine), unit(stream(*other, 1)).flatten())


def test_numbers_that_lie_beside_each_other_are_independent():
    u = Draws(0, 0, torch.arange(700)).uniform("noise", 700)
    for down, right in ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (0, 28)):
        beside = u.roll((-down, -right), (0, 1))
        here = (slice(0, 700 - down), slice(max(0, -right), 700 - max(0, right)))
        assert_independent(u[here].flatten(), beside[here].flatten())


def test_examples_whose_numbers_differ_in_one_bit_get_unlike_bits():
    index = torch.arange(2000)
    mine = Draws(0, 0, index).bits("a")
    for n in range(0, 24, 3):
        assert worst_bit(mine ^ Draws(0, 0, index ^ (1 << n)).bits("a")) < 5


def signed(z):
    """The finaliser with shifts that keep the sign, as ``>>`` does on int64."""
    z = (z ^ (z >> 30)) * rng._M1
    z = (z ^ (z >> 27)) * rng._M2
    return z ^ (z >> 31)


POOR = {
    "no mixing": lambda z: z,
    "multiplied alone": lambda z: z * rng._M1,
    "shifted alone": lambda z: z ^ rng._shift(z, 30),
    "signed shifts": signed,
}


@pytest.mark.parametrize("poor", POOR.values(), ids=POOR)
def test_these_tests_notice_a_generator_that_mixes_badly(monkeypatch, poor):
    monkeypatch.setattr(rng, "_mix", poor)
    u = Draws(0, 0, torch.arange(300)).uniform("noise", 300)
    for beside in (u.roll(-1, 0), u.roll(-1, 1)):
        assert dependence(u[:-1, :-1].flatten(), beside[:-1, :-1].flatten())[0] < UNLIKELY
    index = torch.arange(2000)
    mine, theirs = (Draws(0, 0, i).bits("a") for i in (index, index ^ 1))
    assert worst_bit(mine ^ theirs) > 20


def test_these_tests_notice_weak_dependence():
    """A correlation of 3 %, and one cell in 256 that is half too full."""
    mine, other = unit(stream(0, "a", 0, 0)), unit(stream(0, "b", 0, 0))
    assert dependence(mine, 0.97 * other + 0.03 * mine)[1] > 4.5
    moved = torch.where((mine < 1 / 16) & (other > 0.97), other - 0.95, other)
    assert dependence(mine, moved)[0] < UNLIKELY


# Order, thinning, batches.


def test_an_order_is_a_permutation_and_thinning_keeps_it():
    index = torch.arange(5000) * 3 + 11
    order = Draws(1, 2, index).order()
    assert torch.equal(order.sort().values, index)
    assert not torch.equal(order, index)
    kept = index[torch.rand(5000) < 0.3]
    thinned = Draws(1, 2, kept[torch.randperm(len(kept))]).order()
    assert torch.equal(thinned, order[torch.isin(order, kept)])


def test_every_permutation_is_equally_likely():
    index = torch.arange(4)
    seen = [tuple(Draws(s, e, index).order().tolist()) for s, e in itertools.product(range(60), range(80))]
    counts = [seen.count(p) for p in itertools.permutations(range(4))]
    assert sum(counts) == len(seen)
    assert stats.chisquare(counts).pvalue > UNLIKELY


def test_orders_of_two_epochs_have_nothing_in_common():
    ranks = [Draws(0, e, torch.arange(20_000)).order().argsort().double() for e in range(2)]
    assert abs(np.corrcoef(*ranks)[0, 1]) < 4.5 / 20_000**0.5
    assert (ranks[0] == ranks[1]).sum() < 10  # fixed points: Poisson of mean 1


@pytest.mark.parametrize("draw", ["bits", "uniform", "normal"])
def test_an_example_draws_the_same_in_any_company(draw):
    everyone, some = Draws(4, 2, torch.arange(300)), torch.tensor([250, 3, 3, 17])
    whole = getattr(everyone, draw)("noise", 3, 5)
    assert torch.equal(getattr(everyone.of(some), draw)("noise", 3, 5), whole[some])
    assert torch.equal(getattr(everyone.of(some.int()), draw)("noise", 3, 5), whole[some])
    empty = getattr(everyone.of(some[:0]), draw)("noise", 3, 5)
    assert empty.shape == (0, 3, 5)


def test_the_global_generator_is_not_touched():
    before = torch.get_rng_state()
    Draws(0, 0, torch.arange(10)).normal("noise", 3)
    assert torch.equal(torch.get_rng_state(), before)


# Elsewhere.

PROBE = """
import torch
from leanat.core.rng import Draws, key
d = Draws(7, 3, torch.arange(50), view=1)
print(key("a", 1, 2.5), d.bits("noise", 4).sum().item(), d.normal("noise", 4).double().sum().item(), d.order()[:5].tolist())
"""


def test_another_process_draws_the_same():
    d = Draws(7, 3, torch.arange(50), view=1)
    normal = d.normal("noise", 4).double().sum().item()
    expected = f"{key('a', 1, 2.5)} {d.bits('noise', 4).sum().item()} {normal} {d.order()[:5].tolist()}"
    env = os.environ | {"PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"}
    found = subprocess.run([sys.executable, "-c", PROBE], env=env, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_draws_the_same_bits():
    here, there = Draws(0, 0, torch.arange(1000)), Draws(0, 0, torch.arange(1000, device="cuda"))
    assert torch.equal(here.bits("a", 3), there.bits("a", 3).cpu())
    assert torch.equal(here.uniform("a", 3), there.uniform("a", 3).cpu())
    torch.testing.assert_close(here.normal("a", 3), there.normal("a", 3).cpu(), rtol=1e-5, atol=1e-5)


def test_keys_of_all_small_arguments_differ():
    keys = {key(s, p, e, v) for s in range(8) for p in ("order", "crop", "start/0", "start/0/radius", "start/1")
            for e in range(40) for v in range(4)}  # fmt: skip
    assert len(keys) == 8 * 5 * 40 * 4
    assert all(-(2**63) <= k < 2**63 for k in keys)
