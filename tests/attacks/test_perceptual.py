import pytest
import torch
import torch.nn.functional as F
from torch import nn

from leanat.attacks.lpips import Lpips, project
from leanat.attacks.perceptual import LPA, PPGD, FastLPA, natural
from leanat.core.nouns import Step
from leanat.core.rng import Draws
from leanat.models import build


def network(name, size=16, seed=0):
    return build(name, 4, size, 3, seed, (0.5,) * 3, (0.25,) * 3)


def batch(n, size=16, seed=0):
    """Smooth coloured patterns of four classes, and noise."""
    make = torch.Generator().manual_seed(seed)
    pattern = F.interpolate(
        torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(7)), size=size, mode="bilinear"
    )
    y = torch.randint(4, (n,), generator=make)
    x = 0.5 + 0.5 * (pattern[y] - 0.5) + 0.06 * torch.randn(n, 3, size, size, generator=make)
    return x.clamp(0.02, 0.98), y


def step_of(x, y, where=slice(None), lpips=None):
    index = torch.arange(len(x))[where]
    step = Step(0, index, x[where], y[where], torch.ones(len(index)), Draws(0, 0, index))
    if lpips is not None:
        step.aux["lpips"] = lpips
    return step


@pytest.fixture(scope="module")
def trained():
    """A classifier, an AlexNet for the distance, and 24 test images with labels."""
    x, y = batch(256, seed=1)
    nets = []
    for name in ("resnet_tiny", "alexnet_small"):
        net = network(name)
        opt = torch.optim.Adam(net.parameters(), lr=3e-3)
        for epoch in range(4):
            for i in torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch)).split(32):
                opt.zero_grad()
                F.cross_entropy(net(x[i]), y[i]).backward()
                opt.step()
        opt.zero_grad()
        nets.append(net)
    nets[0].eval()
    return *nets, *batch(24, seed=2)


ATTACKS = [
    FastLPA(0.5, 10),
    FastLPA(0.5, 5, project=True),
    LPA(0.5, 6),
    PPGD(0.5, 6),
    FastLPA(1.5, 8, self_bounded=True),
]


# the distance


def test_distance_is_the_lpips_package_without_its_linear_layers():
    package = pytest.importorskip("lpips").LPIPS(net="alex", lpips=False, pnet_rand=True, verbose=False)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            trunk = package.net
            self.body = nn.Sequential(trunk.slice1, trunk.slice2, trunk.slice3, trunk.slice4, trunk.slice5)

        def features(self, x):
            return self.body(package.scaling_layer(2 * x - 1))

    x, other = torch.rand(2, 3, 3, 64, 64)
    ours = Lpips(Net()).distance(x, other)
    with torch.no_grad():
        theirs = package(2 * x - 1, 2 * other - 1).flatten().sqrt()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_features_by_hand():
    net = network("alexnet_small").double()
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    maps, out = [], net.normalise(x)
    for module in net.body.convs:
        out = module(out)
        if isinstance(module, nn.ReLU):
            maps.append(out)
    expected = []
    for a in maps:
        _, _, h, w = a.shape
        for i in range(h):
            for j in range(w):
                pixel = a[:, :, i, j]
                expected.append(pixel / (pixel.norm(dim=1, keepdim=True) + 1e-10) / (h * w) ** 0.5)
    assert len(maps) == 5
    torch.testing.assert_close(Lpips(net)(x).sort(dim=1).values, torch.cat(expected, 1).sort(dim=1).values)


def test_layers_are_the_stages_of_a_residual_network_and_can_be_named():
    assert Lpips(network("resnet_tiny")).layers == ("body.stage1", "body.stage2", "body.stage3")
    assert len(Lpips(network("vgg16_small"))(torch.rand(1, 3, 16, 16))[0]) == 2 * (16 * 64 + 32 * 16 + 48 * 4)
    assert Lpips(network("resnet_tiny"), ("body.stage2",))(torch.rand(2, 3, 16, 16)).shape == (2, 16 * 16)
    with pytest.raises(ValueError, match=r"no sub-module 'body.nine'"):
        Lpips(network("resnet_tiny"), ("body.nine",))
    with pytest.raises(ValueError, match="no layer"):
        Lpips(network("resnet_tiny"), ("head",)).with_logits(torch.rand(1, 3, 16, 16))


def test_gradient_is_finite_where_all_channels_are_0():
    net = network("alexnet_small")
    with torch.no_grad():
        net.body.convs[0].weight.zero_()
        net.body.convs[0].bias.zero_()
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    for layers in (None, ("body.convs.0",)):
        (g,) = torch.autograd.grad((Lpips(net, layers)(x) - 1).norm(), x)
        assert g.isfinite().all()


def test_distance_is_float32_under_autocast_and_leaves_the_network_alone(trained):
    net, alexnet, x, _ = trained
    alexnet.train()
    lpips = Lpips(alexnet)
    expected = lpips(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(lpips(x), expected)
    assert alexnet.training
    assert all(p.grad is None and p.requires_grad for p in alexnet.parameters())
    phi, z = Lpips(net).with_logits(x)
    assert torch.equal(phi, Lpips(net)(x))
    assert torch.equal(z, net(x))


# the projection


def test_projection(trained):
    _, alexnet, x, _ = trained
    lpips = Lpips(alexnet)
    far = (x + 0.3 * torch.randn_like(x)).clamp(-0.2, 1.2)
    far[:5] = x[:5] + 1e-4
    assert (lpips.distance(x, far)[5:] > 0.4).all()
    with torch.no_grad():
        z = project(lpips, 0.4, x, far)
    d = lpips.distance(x, z)
    assert (d <= 0.4).all()
    assert (d[5:] > 0.01).all()
    assert z.min() >= 0
    assert z.max() <= 1
    assert torch.equal(z[:5], far[:5])


def test_first_newton_step_in_one_dimension():
    x, far = torch.full((1, 1, 1, 1), 0.2), torch.full((1, 1, 1, 1), 0.4)
    z = project(lambda x: 3 * x.flatten(1), 0.3, x, far)  # d = 0.6, its slope 3, overshoot 0.1 twice
    assert z.item() == pytest.approx(0.4 - (0.6 - 0.3 + 0.1) * 1.1 / 3)


def test_projection_bisects_where_the_gradient_is_no_help():
    def stairs(x):
        return (10 * x).floor().flatten(1) / 10 + 0 * x.flatten(1)

    x, far = torch.zeros(2, 1, 1, 1), torch.tensor([0.9, 0.2]).view(2, 1, 1, 1)
    z = project(stairs, 0.35, x, far)
    assert z.flatten().tolist() == pytest.approx([0.4, 0.2], abs=1e-3)
    assert z[0] < 0.4


# the attacks


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_attack_fools_within_the_box_and_touches_nothing(trained, attack):
    net, alexnet, x, y = trained
    step, before = step_of(x, y, lpips=Lpips(alexnet)), {k: v.clone() for k, v in net.state_dict().items()}
    state = torch.get_rng_state()
    net.train()
    net.body.stage1.eval()
    with torch.no_grad():
        x_adv = attack(net, step)
    assert net.training
    assert not net.body.stage1.training
    net.eval()
    assert torch.equal(torch.get_rng_state(), state)
    for module in (net, alexnet):
        assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert x_adv.shape == x.shape
    assert not x_adv.requires_grad
    assert x_adv.isfinite().all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    assert (net(x).argmax(1) == y).float().mean() > 0.9
    assert (net(x_adv).argmax(1) == y).float().mean() < 0.5
    if isinstance(attack, LPA | PPGD) or attack.project:
        assert (step.aux["lpips"].distance(x, x_adv) <= attack.bound).all()
    assert torch.equal(x_adv, attack(net, step_of(x, y, lpips=Lpips(alexnet))))


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_result_does_not_depend_on_the_neighbours(trained, attack):
    net, alexnet, x, y = trained
    net, lpips = net.double(), Lpips(alexnet.double())
    try:
        whole = attack(net, step_of(x.double(), y, lpips=lpips))
        part = attack(net, step_of(x.double(), y, torch.tensor([5, 2, 17]), lpips))
        empty = attack(net, step_of(x.double(), y, slice(0, 0), lpips))
    finally:
        net.float(), alexnet.float()
    torch.testing.assert_close(part, whole[[5, 2, 17]], atol=1e-6, rtol=0)
    assert empty.shape == (0, 3, 16, 16)


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
def test_attack_under_autocast(trained, attack):
    net, alexnet, x, y = trained
    with torch.autocast("cpu", torch.bfloat16):
        x_adv = attack(net, step_of(x, y, lpips=Lpips(alexnet)))
    assert x_adv.dtype == torch.float32
    assert x_adv.isfinite().all()
    assert (net(x_adv).argmax(1) == y).float().mean() < 0.5


def test_only_correct_examples_are_attacked(trained):
    net, alexnet, x, y = trained
    wrong = torch.arange(len(y)) % 3 == 0
    labels = torch.where(wrong, (net(x).argmax(1) + 1) % 4, net(x).argmax(1))
    for make in (FastLPA, LPA, PPGD):
        everything = make(0.5, 3)(net, step_of(x, labels, lpips=Lpips(alexnet)))
        x_adv = make(0.5, 3, only_correct=True)(net, step_of(x, labels, lpips=Lpips(alexnet)))
        assert torch.equal(x_adv[wrong], x[wrong])
        torch.testing.assert_close(x_adv[~wrong], everything[~wrong], atol=1e-3, rtol=0)
        x_adv = make(0.5, 3, only_correct=True)(net, step_of(x, (net(x).argmax(1) + 1) % 4, lpips=Lpips(alexnet)))
        assert torch.equal(x_adv, x)


def test_self_bounded_is_the_distance_on_the_network_itself(trained):
    net, _, x, y = trained
    own = FastLPA(0.3, 4, self_bounded=True)(net, step_of(x, y))
    assert torch.equal(own, FastLPA(0.3, 4)(net, step_of(x, y, lpips=Lpips(net))))


def reference_fast_lpa(net, lpips, x, y, noise, bound, steps):
    """The authors' loop for one image, written down from the description."""
    x_adv = x + 0.01 * noise
    for t in range(steps):
        lam, eta = 10 * 0.1 ** (1 - t / steps), bound * 0.1 ** (t / steps)
        x_adv = x_adv.detach().requires_grad_()
        z = net(x_adv)[0]
        margin = z[y] - max(z[k] for k in range(len(z)) if k != y)
        d = (lpips(x_adv) - lpips(x)).norm()
        (margin + lam * torch.clamp(d - bound, min=0)).backward()
        g = x_adv.grad / (x_adv.grad.norm() + 1e-8)
        rate = (lpips(x_adv) - lpips(x_adv + 0.1 * g)).norm().item() / 0.1
        x_adv = torch.clamp(x_adv.detach() - g * eta / (rate + 1e-4), 0, 1)
    return x_adv


def test_fast_lpa_against_a_loop_over_images(trained):
    net, alexnet, x, y = trained
    net, alexnet = net.double(), alexnet.double()
    lpips, step = Lpips(alexnet), step_of(x[:4].double(), y[:4], lpips=Lpips(alexnet))
    ours = FastLPA(0.5, 6)(net, step)
    noise = step.draws.normal("start/0", 3, 16, 16).double()
    for i in range(4):
        theirs = reference_fast_lpa(net, lpips, step.x[i : i + 1], step.y[i], noise[i : i + 1], 0.5, 6)
        torch.testing.assert_close(ours[i : i + 1], theirs, atol=1e-6, rtol=0)
    for module in (net, alexnet):
        module.zero_grad(set_to_none=True)
        module.float()


def reference_lpa(net, lpips, x, y, noise, bound, steps, searches):
    """Before the projection, for one image; also how often lambda grew."""
    x_adv, lam = x + 0.01 * noise, 0.01
    grown = 0
    for _ in range(searches):
        for t in range(steps):
            x_adv = x_adv.detach().requires_grad_()
            z = net(x_adv)[0]
            gain = max(z[k] for k in range(len(z)) if k != y) - z[y]
            d = (lpips(x_adv) - lpips(x)).norm()
            if gain > 0 and d <= bound:
                return x_adv.detach(), grown
            (torch.clamp(gain, max=1.0) - lam * torch.clamp(d - bound, min=0)).backward()
            g = x_adv.grad / (x_adv.grad.norm() + 1e-8)
            rate = (lpips(x_adv) - lpips(x_adv - 0.1 * g)).norm().item() / 0.1
            x_adv = torch.clamp(x_adv.detach() + g * bound * 0.1 ** (t / steps) / (rate + 1e-4), 0, 1)
        if d >= bound:
            lam, grown = 10 * lam, grown + 1
    return x_adv, grown


def test_lpa_against_a_loop_over_images(trained):
    net, alexnet, x, y = trained
    net, alexnet = net.double(), alexnet.double()
    lpips, bound, grown = Lpips(alexnet), 0.2, 0
    step = step_of(x[:6].double(), y[:6], lpips=lpips)
    ours = LPA(bound, 3, searches=4)(net, step)
    noise = step.draws.normal("start/0", 3, 16, 16).double()
    for i in range(6):
        x_i = step.x[i : i + 1]
        theirs, grew = reference_lpa(net, lpips, x_i, step.y[i], noise[i : i + 1], bound, 3, 4)
        torch.testing.assert_close(ours[i : i + 1], project(lpips, bound, x_i, theirs), atol=1e-6, rtol=0)
        grown += grew
    assert grown > 1
    for module in (net, alexnet):
        module.zero_grad(set_to_none=True)
        module.float()


def test_lpa_stays_inside_where_it_finds_nothing(trained):
    net, alexnet, x, y = trained
    lpips = Lpips(alexnet)
    x_adv = LPA(0.1, 2, searches=1)(net, step_of(x, y, lpips=lpips))
    assert (lpips.distance(x, x_adv) <= 0.1).all()
    assert (net(x_adv).argmax(1) == y).any()


class Linear(nn.Module):
    """Two logits, linear in the pixels."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x):
        z = x.flatten(1) @ self.w
        return torch.stack([z, -z], 1)


@pytest.fixture
def linear():
    """phi = A x and a linear classifier, where the best perturbation is known; x is far from the box's faces."""
    make = torch.Generator().manual_seed(3)
    a = torch.randn(14, 9, generator=make, dtype=torch.float64)
    w = torch.randn(9, generator=make, dtype=torch.float64)
    x = torch.full((2, 1, 3, 3), 0.5, dtype=torch.float64)
    return a, Linear(w), step_of(x, torch.tensor([0, 1]), lpips=lambda x: x.flatten(1) @ a.T)


def test_fast_lpa_moves_by_its_step_in_lpips(linear):
    a, net, step = linear
    x_adv = FastLPA(0.3, 1, noise=1e-9)(net, step)
    moves = (x_adv - step.x).flatten(1)
    torch.testing.assert_close((moves @ a.T).norm(dim=1), torch.full((2,), 0.3, dtype=a.dtype), rtol=1e-3, atol=0)
    w = net.w.detach() / net.w.detach().norm()
    torch.testing.assert_close(F.normalize(moves), torch.stack([-w, w]), atol=1e-6, rtol=0)


def test_conjugate_gradients_solve_the_quadratic_model(linear):
    a, net, step = linear
    g = net.w.detach().expand(2, 9).reshape(2, 1, 3, 3)
    x = step.x.clone().requires_grad_()
    v = natural(step.aux["lpips"], x, step.aux["lpips"](x), g, 9, 1e-3)
    expected = torch.linalg.solve(a.T @ a, net.w.detach()).expand(2, 9)
    torch.testing.assert_close(v.flatten(1), expected, rtol=1e-6, atol=1e-9)


def test_ppgd_steps_to_the_best_point_of_the_ball_then_projects(linear):
    a, net, step = linear
    best = torch.linalg.solve(a.T @ a, net.w.detach())
    best = 2 * 0.3 * torch.stack([-best, best]) / (a @ best).norm()  # the length of the only step
    expected = project(step.aux["lpips"], 0.3, step.x, step.x + best.view_as(step.x))
    x_adv = PPGD(0.3, 1, cg_steps=9, kappa=100.0, noise=1e-9)(net, step)
    torch.testing.assert_close(x_adv, expected, atol=1e-7, rtol=0)
    steepest = torch.stack([-net.w.detach(), net.w.detach()])
    steepest *= 2 * 0.3 / (steepest @ a.T).norm(dim=1, keepdim=True)
    assert (net.w.detach() * (best - steepest)).sum(1).abs().gt(0.1).all()  # so the metric mattered


def test_kappa_stops_the_climb(linear):
    _, net, step = linear
    step.y = net(step.x).argmin(dim=1)  # misclassified already
    with torch.no_grad():
        net.w.mul_(100)
    x_adv = PPGD(0.3, 3, noise=1e-9)(net, step)
    torch.testing.assert_close(x_adv, step.x, atol=1e-7, rtol=0)


@pytest.mark.parametrize("make", [FastLPA, LPA, PPGD])
def test_errors(trained, make):
    net, alexnet, x, y = trained
    with pytest.raises(ValueError, match=r"steps 0; allowed: 1 or more"):
        make(0.5, 0)
    for bound in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"bound .*; allowed: .*above 0"):
            make(bound, 10)
    with pytest.raises(ValueError, match=r"noise 0; allowed: above 0"):
        make(0.5, 10, noise=0)
    with pytest.raises(ValueError, match=r"step.aux\['lpips'\]"):
        make(0.5, 2)(net, step_of(x, y))
    step = step_of(x, y, lpips=Lpips(alexnet))
    step.steps = torch.ones(len(x), dtype=torch.int64)
    with pytest.raises(ValueError, match="without a budget"):
        make(0.5, 2)(net, step)
