import math

import pytest
import torch
from attack_bed import step_on
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import L2, Linf
from leanat.core.rng import Draws

THREATS = [Linf, L2]
EPS = st.floats(0, 3)


def images(n, seed=0, shape=(2, 3, 3)):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def size(threat, delta):
    return delta.flatten(1).abs().amax(1) if isinstance(threat, Linf) else delta.flatten(1).norm(dim=1)


@pytest.mark.parametrize("kind", THREATS)
@pytest.mark.parametrize("eps", [-1.0, float("nan"), float("inf")])
def test_radius_must_be_a_finite_number(kind, eps):
    with pytest.raises(ValueError, match="eps"):
        kind(eps)


@pytest.mark.parametrize("kind", THREATS)
@given(eps=EPS, seed=st.integers(0, 99), scale=st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_projection_lies_in_ball_and_box_and_keeps_what_already_does(kind, eps, seed, scale):
    threat, x = kind(eps), images(4, seed)
    z = x + scale * (images(4, seed + 1000) - 0.5)
    p = threat.project(z, x)
    assert (p >= 0).all()
    assert (p <= 1).all()
    assert (size(threat, p - x) <= eps + 1e-12).all()
    torch.testing.assert_close(threat.project(p, x), p, rtol=0, atol=1e-12)


def test_linf_projection_is_the_nearest_point():
    x, z = images(5), 2 * images(5, 1) - 0.5
    grid = torch.linspace(0, 1, 2001, dtype=torch.float64)
    allowed = (grid - x[..., None]).abs() <= 0.1 + 1e-12
    distance = torch.where(allowed, (grid - z[..., None]).abs(), torch.inf)
    torch.testing.assert_close(Linf(0.1).project(z, x), grid[distance.argmin(-1)], rtol=0, atol=1e-3)


def test_l2_projection_scales_onto_the_sphere_away_from_the_box():
    x = torch.full((3, 2, 2), 0.5, dtype=torch.float64)
    z = x + 0.3 * (images(3, shape=(2, 2)) - 0.5)
    p = L2(0.05).project(z, x)
    norm = (z - x).flatten(1).norm(dim=1).view(-1, 1, 1)
    torch.testing.assert_close(p, x + (z - x) * (0.05 / norm).clamp(max=1))


@pytest.mark.parametrize("kind", THREATS)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_ascent_is_the_steepest_direction_of_unit_norm_at_every_scale(kind, scale):
    grad = (images(3).float() - 0.5) * scale
    step = kind(1.0).ascend(grad)
    expected = grad.sign() if kind is Linf else grad / scale / (grad / scale).flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(step, expected)


@pytest.mark.parametrize("kind", THREATS)
def test_no_gradient_no_step(kind):
    assert (kind(1.0).ascend(torch.zeros(2, 1, 2, 2)) == 0).all()


@pytest.mark.parametrize("kind", THREATS)
def test_radius_zero_leaves_the_image(kind):
    x, draws = images(3).float(), Draws(0, 0, torch.arange(3))
    assert torch.equal(kind(0.0).start(x, draws, "start"), x)
    assert torch.equal(kind(0.0).project(x + 0.1, x), x)


def test_linf_start_is_uniform():
    x = torch.full((2000, 1, 1, 1), 0.5)
    start = Linf(0.2).start(x, Draws(0, 0, torch.arange(2000)), "start")
    assert kstest(((start - x) / 0.2).flatten(), "uniform", (-1, 2)).pvalue > 0.001


def test_l2_start_is_uniform_in_the_ball():
    x = torch.full((2000, 1, 1, 3), 0.5)
    delta = ((L2(0.2).start(x, Draws(0, 0, torch.arange(2000)), "start") - x) / 0.2).view(-1, 3).double()
    assert kstest(delta.norm(dim=1), lambda r: r**3).pvalue > 0.001
    # on a sphere in three dimensions, every coordinate is uniform (Archimedes)
    assert kstest((delta / delta.norm(dim=1, keepdim=True))[:, 0], "uniform", (-1, 2)).pvalue > 0.001


def test_the_start_of_sats_code_has_any_norm_and_any_direction():
    """Of norms uniform in (0, eps): half of it on average, where points uniform in the ball have nearly eps."""
    x, draws = torch.full((2000, 3, 8, 8), 0.5), Draws(0, 0, torch.arange(2000))
    delta = (L2(1.5).start_any_norm(x, draws, "start") - x).flatten(1).double()
    assert kstest(delta.norm(dim=1) / 1.5, "uniform").pvalue > 0.001
    assert delta.norm(dim=1).mean() == pytest.approx(0.75, abs=0.04)
    assert (L2(1.5).start(x, draws, "start") - x).flatten(1).norm(dim=1).mean() == pytest.approx(1.5, abs=0.04)
    # noise uniform in a cube: its entries over their norm have mean 0 and deviation 1 / sqrt(d)
    unit = delta / delta.norm(dim=1, keepdim=True)
    assert kstest(unit[:, 0], "uniform", (-(3**0.5) / 192**0.5, 2 * (3 / 192) ** 0.5)).pvalue > 0.001
    pgd = PGD(L2(1.5), 1, 3.75, "any_norm")
    assert torch.equal(
        pgd._start(step_on(x, torch.zeros(2000).long()), 0), pgd.threat.start_any_norm(x, draws, "start/0")
    )
    with pytest.raises(ValueError, match="any_norm needs the threat model l2"):
        PGD(Linf(0.1), 1, 0.1, "any_norm")


@pytest.mark.parametrize("kind", THREATS)
def test_start_belongs_to_the_example_and_lies_inside(kind):
    x, threat = images(6).float().round(decimals=1), kind(0.4)
    draws = Draws(3, 1, torch.arange(6))
    start = threat.start(x, draws, "start")
    assert start.min() >= 0
    assert start.max() <= 1
    assert (size(threat, start - x) <= 0.4 + 1e-6).all()
    assert torch.equal(threat.start(x[[4, 2]], draws.of(torch.tensor([4, 2])), "start"), start[[4, 2]])
    assert not torch.equal(threat.start(x, draws, "other"), start)


@pytest.mark.parametrize("kind", THREATS)
def test_empty_batch(kind):
    x = torch.zeros(0, 3, 4, 4)
    assert kind(0.1).start(x, Draws(0, 0, torch.arange(0)), "start").shape == x.shape
    assert kind(0.1).ascend(x).shape == x.shape
    assert kind(0.1).project(x, x).shape == x.shape
    assert math.isclose(kind(0.1).eps, 0.1)
