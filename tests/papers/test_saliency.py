"""The saliency paper: double back-propagation against finite differences, discriminators, resume, curriculum, metrics."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import Small, make_run, same, split, toy, weights

from leanat.core import nouns
from leanat.core.errors import ConfigError
from leanat.core.loop import make_step, train
from leanat.core.nouns import Hook, Step, Subset
from leanat.core.rng import Draws
from leanat.models import PerImage, build, io
from leanat.papers.saliency import method as paper
from leanat.papers.saliency.discriminator import Discriminator
from leanat.papers.saliency.experiments import GAMMA
from leanat.papers.saliency.method import (
    Saliency,
    alignment,
    keep_top,
    load_teacher,
    localisation,
    weight_of_difference,
)
from leanat.plan import components
from leanat.runs import checkpoint
from leanat.training.objectives import CrossEntropy

SMALL = Discriminator(layers=3, width=4)
SHAPE = {"n_classes": 3, "image_size": 6, "channels": 1, "mean": [0.5], "std": [0.25]}


def save_teacher(folder, network="resnet_tiny", seed=5, **change):
    shape = {**SHAPE, **change}
    net = build(network, seed=seed, standardise="channel", **shape)
    with torch.no_grad():  # running statistics unlike any batch's
        for name, buffer in net.body.named_buffers():
            if "running" in name:
                buffer.mul_(0.5).sub_(0.2)
    folder.mkdir(exist_ok=True)
    about = {"model": {"name": network, "standardise": "channel"}, "data": {"name": "toy", **shape}}
    io.save(folder / "model.safetensors", net, about)
    return net


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher") / "run"
    net, (x, y) = save_teacher(folder).eval(), toy().batch(torch.arange(24), 0)
    assert (paper.saliency(net, x, y) != 0).all()
    return folder


def run_of(objective, net=None, **options):
    return make_run(net or Small(), objective=objective, extras=(objective,), **options)


def started(run, data):
    """The run with its extras ready, and its first step of eight examples."""
    for extra in run.method.extras:
        run.memory[extra.name] = extra.start(run, split(data))
        extra.on_epoch(run, split(data))
    step = make_step(run, data, Subset(torch.arange(8), torch.ones(8)), slice(0, 8))
    step.x_adv = step.x
    run.net.train()
    return step


def phase1(teacher, **change):
    return Saliency(teacher, **{"beta": 2.0, "gamma": 1e4, "discriminator": SMALL, **change})


def phase2(teacher, **change):
    return phase1(teacher, **{"ks": (90, 70, 50), "epochs_each": 1, **change})


def smooth():
    """No kinks, BatchNorm with the statistics of the batch, float64."""
    net = Small(norm=True).double()
    net.body[2], net.body[5] = nn.Tanh(), nn.Softplus()
    return net


def doubled(data):
    return dataclasses.replace(data, images=data.images.double(), augmented=False)


# -- double back-propagation


CASES = {
    "L_diff of probabilities": {"beta": 0.0},
    "L_diff of logits": {"beta": 0.0, "of": "logit"},
    "with L_robust": {},
    "both phases": {"ks": (60,), "epochs_each": 1},
    "the curriculum alone, corrected": {"ks": (60,), "epochs_each": 1, "align": False, "sign": "corrected"},
}


@pytest.mark.parametrize("change", CASES.values(), ids=CASES)
def test_gradients_with_respect_to_weights_are_those_of_finite_differences(teacher, change):
    run, data = run_of(phase1(teacher, **change), smooth()), doubled(toy())
    step = started(run, data)

    def loss():
        return run.method.objective(run.net, step).mean()

    whole = loss()
    assert whole.dtype == torch.float64
    grads = torch.autograd.grad(whole, list(run.net.parameters()))
    plain = torch.autograd.grad(F.cross_entropy(run.net(step.x), step.y), list(run.net.parameters()))
    assert not any(torch.allclose(g, p, rtol=1e-3) for g, p in zip(grads[:1], plain[:1], strict=True))
    h = 1e-6  # the discriminator has kinks
    for p, grad in zip(run.net.parameters(), grads, strict=True):
        way = Draws(3, 0, torch.arange(p.numel())).normal("way").view(p.shape).double()
        p.data += h * way
        above = loss()
        p.data -= 2 * h * way
        below = loss()
        p.data += h * way
        assert ((above - below) / (2 * h)).item() == pytest.approx((grad * way).sum().item(), rel=2e-6, abs=1e-8)


def test_saliency_of_a_linear_softmax_model_in_closed_form():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False)).double()
    x, y = torch.rand(5, 3, 2, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 1])
    w, p = net[1].weight, net(x).softmax(1)
    expected = p[range(5), y, None] * (w[y] - p @ w)
    assert torch.allclose(paper.saliency(net, x, y).flatten(1), expected)
    assert torch.allclose(paper.saliency(net, x, y, "logit").flatten(1), w[y])


def test_gamma_is_that_of_the_authors_sum_over_the_batch_in_255_units():
    j_s, j_t = torch.randn(2, 32, 3, 32, 32)
    authors = 10 * (j_s / 255 - j_t / 255).square().sum()
    weight = weight_of_difference(10, j_s[0].numel())
    ours = (weight * (j_s - j_t).square().sum((1, 2, 3))).mean()
    assert ours.item() == pytest.approx(authors.item(), rel=1e-5)
    assert weight == pytest.approx(10 * 32 / 65025)
    # the same slope along an image of another size: constant differences whose l1 norm stays
    for size in (768, 3072):
        assert weight_of_difference(10, size) * size * (1 / size) ** 2 == pytest.approx(weight / 3072)
    # the checkpoint of the authors for TinyImageNet: its 50 stands before a sum over 8 images of 64 x 64
    for gamma in GAMMA["tiny-imagenet"]:
        assert weight_of_difference(gamma.value, 3 * 64 * 64) == pytest.approx(50 * 8 / 65025)


@pytest.mark.parametrize("batch", [8, 7])
def test_without_beta_and_gamma_training_is_standard_to_the_bit(teacher, batch):
    plain = make_run(Small(), batch=batch)
    train(plain, split(toy()))
    for precision in ("fp32", "bf16"):
        plain, run = make_run(Small(), batch=batch), run_of(phase1(teacher, beta=0.0, gamma=0.0), batch=batch)
        plain.recipe = run.recipe = dataclasses.replace(run.recipe, precision=precision)
        train(plain, split(toy()))
        train(run, split(toy()))
        assert same(weights(plain.net), weights(run.net))
        assert [r["loss"] for r in plain.history] == [r["loss"] for r in run.history]
        assert run.method.objective.columns(run) == {"loss_ce": pytest.approx(run.history[-1]["loss"], rel=1e-6)}


def test_double_back_propagation_is_in_fp32_under_autocast(teacher):
    run = run_of(phase2(teacher))
    step = started(run, toy())
    outside = run.method.objective(run.net, step)
    with torch.autocast("cpu", torch.bfloat16):
        inside = run.method.objective(run.net, step)
    assert inside.dtype == torch.float32
    assert torch.equal(outside, inside)


# -- terms


def test_terms_are_those_of_the_equations(teacher):
    run, data = run_of(phase2(teacher, sign="corrected", ks=(50,))), toy()
    step = started(run, data)
    losses = run.method.objective(run.net, step)
    memory = run.memory["saliency"]
    net_t = load_teacher(teacher, "running", 3, step.x)
    x = step.x.clone().requires_grad_()
    z = run.net(x)
    ce = F.cross_entropy(z, step.y, reduction="none")
    p_t = net_t(x).softmax(1)[range(8), step.y]
    j_t = torch.autograd.grad(p_t.sum(), x)[0]
    j_s = torch.autograd.grad(z.softmax(1)[range(8), step.y].sum(), x, retain_graph=True)[0]
    j_ce = torch.autograd.grad(ce.sum(), x)[0]
    expected = ce.detach()
    for part, target, j in (("align", j_t, j_s), ("curriculum", keep_top(j_t, 50), -j_ce)):
        z_d = SMALL(memory[part]["weights"], torch.cat([target, j]))
        robust = z_d[:8].softmax(1)[:, 1].log() + z_d[8:].softmax(1)[:, 0].log()
        diff = weight_of_difference(1e4, 36) * (j - target).flatten(1).norm(dim=1) ** 2
        expected = expected + 2 * robust + diff
    assert torch.allclose(losses, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(step.z, step.z_adv)
    assert torch.allclose(step.z, z)


def test_columns_are_the_sizes_of_the_terms_and_sum_to_the_loss(teacher):
    for objective, parts in ((phase1(teacher), ["align"]), (phase2(teacher), ["align", "curriculum"])):
        run = run_of(objective, epochs=2)
        train(run, split(toy()))  # 24 examples in batches of 8: the mean of means is the mean
        columns = objective.columns(run)
        names = {"loss_ce", *(f"loss_{p}_{t}" for p in parts for t in ("robust", "diff"))}
        assert set(columns) == names | ({"cosine"} if objective.ks else set())
        assert sum(columns[n] for n in names) == pytest.approx(run.history[-1]["loss"], rel=1e-5)
        assert all(isinstance(v, float) for v in columns.values())


def test_before_the_warm_up_is_over_only_the_cross_entropy_counts(teacher):
    plain, run = make_run(Small(), epochs=3), run_of(phase1(teacher, warmup_epochs=2), epochs=3)
    rows = []
    train(plain, split(toy()))
    train(run, split(toy()), lambda run: rows.append(run.method.objective.columns(run)))
    assert [r["loss"] for r in plain.history[:2]] == [r["loss"] for r in run.history[:2]]
    assert plain.history[2]["loss"] != run.history[2]["loss"]
    assert rows[0].keys() == rows[2].keys()  # one header for the whole history
    assert rows[1]["loss_ce"] == pytest.approx(run.history[1]["loss"], rel=1e-6)
    assert torch.tensor(rows[1]["loss_align_diff"]).isnan()
    assert rows[2]["loss_align_diff"] > 0


def test_terms_of_weight_0_are_left_out(teacher):
    for change, kind in (({"beta": 0.0}, "diff"), ({"gamma": 0.0}, "robust")):
        run = run_of(phase2(teacher, **change), epochs=1)
        train(run, split(toy()))
        found = run.method.objective.columns(run)
        assert set(found) == {"loss_ce", f"loss_align_{kind}", f"loss_curriculum_{kind}", "cosine"}
        assert ("align" in run.memory["saliency"]) == (kind == "robust")


def test_a_student_that_is_the_teacher_has_no_difference_and_the_opposite_gradient(tmp_path):
    net = save_teacher(tmp_path / "run", "resnet_tiny_gn")  # no BatchNorm, so no example sees another
    run = run_of(phase2(tmp_path / "run", ks=(100,)), net, epochs=1, lr=0.0)
    train(run, split(toy()))
    columns = run.method.objective.columns(run)
    assert columns["loss_align_diff"] == pytest.approx(0, abs=1e-10)
    assert columns["cosine"] == pytest.approx(-1, abs=1e-5)  # the gradient of CE is -J / p
    assert columns["loss_curriculum_diff"] > 0
    assert columns["loss_align_robust"] == pytest.approx(2 * 2 * torch.tensor(0.5).log().item(), rel=0.2)


def test_training_brings_the_saliency_nearer_to_the_teachers_than_none_is(teacher):
    data = dataclasses.replace(toy(), augmented=False)
    x, y = data.batch(torch.arange(24), 0)
    none = paper.saliency(load_teacher(teacher, "running", 3, x), x, y).square().sum((1, 2, 3)).mean().item()
    apart = {}
    for gamma in (1e-6, 1e8):
        run = run_of(phase1(teacher, beta=0.0, gamma=gamma), epochs=30, lr=0.02)
        train(run, split(data))
        apart[gamma] = run.method.objective.columns(run)["loss_align_diff"] / weight_of_difference(gamma, 36)
    assert apart[1e8] < 0.9 * none < apart[1e-6]


# -- curriculum


@pytest.mark.parametrize("k", [100, 50, 30, 1])
def test_keep_top_by_brute_force(k):
    maps = torch.randn(4, 3, 5, 5)
    kept = keep_top(maps, k)
    for full, part in zip(maps, kept, strict=True):
        order = sorted(((i, j) for i in range(5) for j in range(5)), key=lambda p: -float(full[:, *p].abs().sum()))
        for rank, p in enumerate(order):
            assert torch.equal(part[:, *p], full[:, *p] if rank < max(1, round(25 * k / 100)) else torch.zeros(3))


def test_k_falls_with_the_epochs_and_the_last_one_stays():
    objective = Saliency(Path("t"), 2.0, 20.0, ks=(90, 80, 70, 60, 50), epochs_each=15)
    assert [objective.k(e) for e in (0, 14, 15, 29, 30, 45, 60, 74, 75, 200)] == [
        90,
        90,
        80,
        80,
        70,
        60,
        50,
        50,
        50,
        50,
    ]


def test_the_k_of_the_epoch_is_what_is_matched(teacher):
    run, kept = run_of(phase2(teacher, ks=(80, 20), epochs_each=2), epochs=5), []

    class Watch(Hook):
        name = "watch"

        @staticmethod
        def after_step(run, step):
            target = step.aux["saliency"][1]["curriculum"][0]
            kept.append((step.epoch, (target != 0).flatten(1).sum(1).tolist()))

    run.method = dataclasses.replace(run.method, extras=(*run.method.extras, Watch()))
    train(run, split(toy()))
    expected = {0: 29, 1: 29, 2: 7, 3: 7, 4: 7}  # of 36 pixels
    assert kept
    assert all(counts == [expected[epoch]] * 8 for epoch, counts in kept)


def test_literal_and_corrected_differ_in_the_sign_of_the_gradient(teacher):
    pairs = {}
    for sign in ("literal", "corrected"):
        run = run_of(phase2(teacher, sign=sign, align=False))
        step = started(run, toy())
        run.method.objective(run.net, step)
        assert set(step.aux["saliency"][1]) == {"curriculum"}
        pairs[sign] = step.aux["saliency"][1]["curriculum"]
    assert torch.equal(pairs["literal"][0], pairs["corrected"][0])
    assert torch.equal(pairs["literal"][1], -pairs["corrected"][1])


# -- discriminator


def as_module(d, weights, shape):
    """The same network from torch's own layers, with TensorFlow's padding spelled out."""
    layers, (channels, h, w) = [PerImage()], shape
    for i in range(d.layers):
        layers.append(nn.ZeroPad2d((1, 1 + w % 2, 1, 1 + h % 2)))
        norm = nn.BatchNorm2d(d.width * 2**i, eps=1e-3, track_running_stats=False)
        layers += [nn.Conv2d(channels, d.width * 2**i, 4, 2), norm, nn.LeakyReLU(0.1)]
        channels, h, w = d.width * 2**i, -(-h // 2), -(-w // 2)
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * h * w, 2))
    with torch.no_grad():
        for p, value in zip(net.parameters(), weights.values(), strict=True):
            p.copy_(value)
    return net


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 16, 16), (1, 7, 6)], ids=str)
@pytest.mark.parametrize("layers", [3, 5])
def test_discriminator_and_its_optimiser_are_those_of_torch(shape, layers):
    d = Discriminator(layers=layers, width=4)
    state = d.start(shape, 0, "align", torch.zeros(()))
    net = as_module(d, state["weights"], shape)
    groups = [{"params": [p for p in net.parameters() if (p.dim() > 1) == big]} for big in (True, False)]
    groups[0]["weight_decay"] = 2e-4
    opt = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    for i in range(4):
        real, fake = torch.randn(2, 6, *shape, generator=torch.Generator().manual_seed(i))
        z = net(torch.cat([real, fake]) / 255)
        assert torch.allclose(d(state["weights"], torch.cat([real, fake])), z, atol=1e-5)
        d.update(state, real, fake, 0.05)
        opt.zero_grad()
        F.cross_entropy(z, torch.tensor([1] * 6 + [0] * 6)).backward()
        opt.step()
        for p, value in zip(net.parameters(), state["weights"].values(), strict=True):
            assert torch.allclose(p, value, atol=1e-5)
            assert not value.requires_grad


def test_discriminator_learns_to_tell_maps_apart():
    d, like = Discriminator(layers=3, width=4), torch.zeros(())
    state = d.start((1, 8, 8), 0, "align", like)
    rows = torch.arange(8.0).view(1, 1, 8, 1).expand(16, 1, 8, 8)
    for i in range(60):
        noise = torch.randn(2, 16, 1, 8, 8, generator=torch.Generator().manual_seed(i))
        d.update(state, rows + noise[0], rows.transpose(2, 3) + noise[1], 0.05)
    real, fake = d.scores(state["weights"], rows + noise[0], rows.transpose(2, 3) + noise[1])
    assert real.exp().mean() > 0.9
    assert fake.exp().mean() > 0.9


def test_discriminators_start_apart_and_by_the_seed():
    states = [SMALL.start((1, 6, 6), seed, name, torch.zeros(()))["weights"] for seed, name in ((0, "align"),) * 2]
    assert same(*states)
    for seed, name in ((1, "align"), (0, "curriculum")):
        assert not same(states[0], SMALL.start((1, 6, 6), seed, name, torch.zeros(()))["weights"])
    big = Discriminator().start((3, 32, 32), 0, "align", torch.zeros(()))["weights"]
    assert [big[f"conv{i}.weight"].shape[0] for i in range(5)] == [16, 32, 64, 128, 256]
    assert big["conv2.weight"].std().item() == pytest.approx((2 / (16 * 32)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("every", [1, 5])
def test_discriminators_move_every_nth_step_and_at_no_other_time(teacher, every):
    objective = phase2(teacher, discriminator=dataclasses.replace(SMALL, every=every))
    run, moved, rates = run_of(objective, epochs=4, lr=lambda e, n: 0.1 - 0.02 * e), [], []
    last = {}

    class Watch(Hook):
        name = "watch"

        @staticmethod
        def after_backward(run, step):
            for part in ("align", "curriculum"):
                now = {k: v.clone() for k, v in run.memory["saliency"][part]["weights"].items()}
                assert part not in last or same(last[part], now)  # not in the student's step
                assert not any(v.requires_grad for v in run.memory["saliency"][part]["weights"].values())

        @staticmethod
        def after_step(run, step):
            for part in ("align", "curriculum"):
                now = {k: v.clone() for k, v in run.memory["saliency"][part]["weights"].items()}
                if part == "align":
                    moved.append(part not in last or not same(last[part], now))
                last[part] = now

    update = Discriminator.update

    def noted(self, state, real, fake, lr):
        rates.append(lr)
        update(self, state, real, fake, lr)

    run.method = dataclasses.replace(run.method, extras=(*run.method.extras, Watch()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Discriminator, "update", noted)
        train(run, split(toy()))
    steps = range(12)  # 3 an epoch
    assert moved == [i % every == 0 for i in steps]
    expected = [0.1 - 0.02 * (i / 3) for i in steps if i % every == 0 for _ in ("align", "curriculum")]
    assert rates == pytest.approx(expected)
    assert run.memory["saliency"]["steps"] == 12


# -- from the first phase to the second


@pytest.fixture(scope="module")
def first(teacher, tmp_path_factory):
    """A finished first phase: its folder, and the weights of its discriminator."""
    run, folder = (
        run_of(phase1(teacher, discriminator=dataclasses.replace(SMALL, every=1))),
        tmp_path_factory.mktemp("p1"),
    )
    train(run, split(toy()))
    io.write(folder / "saliency.safetensors", run.method.objective.tensors(run), {})
    return folder, run.memory["saliency"]["align"]["weights"]


def test_the_second_phase_goes_on_with_the_discriminator_of_the_first(teacher, first):
    folder, weights_of_first = first
    run, new = (run_of(phase2(teacher, first_phase=f)) for f in (folder, None))
    for r in (run, new):
        started(r, toy())
    memory, fresh = run.memory["saliency"], new.memory["saliency"]
    assert same(memory["align"]["weights"], weights_of_first)
    assert not same(fresh["align"]["weights"], weights_of_first)
    assert same(memory["curriculum"]["weights"], fresh["curriculum"]["weights"])  # of the second phase alone
    assert not any(m.any() for m in memory["align"]["momentum"].values())
    assert same(memory["align"]["weights"], dict(weights_of_first)), "the file's, not views of another run's"
    before = {k: w.clone() for k, w in weights_of_first.items()}
    train(run, split(toy()))
    assert same(before, weights_of_first)
    assert not same(run.memory["saliency"]["align"]["weights"], before)


def test_a_second_phase_that_is_resumed_does_not_begin_again_with_it(teacher, first, tmp_path):
    run, again = (run_of(phase2(teacher, first_phase=first[0]), epochs=4) for _ in range(2))
    train(run, split(toy()), lambda run: run.epoch == 2)
    checkpoint.save(tmp_path / "resume.pt", run, "x")
    assert checkpoint.load(tmp_path / "resume.pt", again, "x")
    train(run, split(toy()))
    train(again, split(toy()))
    assert same(run.memory["saliency"]["align"]["weights"], again.memory["saliency"]["align"]["weights"])


def test_a_discriminator_that_does_not_fit_is_one_line(teacher, first, tmp_path):
    def start(**change):
        started(run_of(phase2(teacher, **change)), toy())

    with pytest.raises(io.NetworkError, match=r"nowhere/saliency\.safetensors: no such file"):
        start(first_phase=tmp_path / "nowhere")
    with pytest.raises(io.NetworkError, match=r"saliency\.safetensors: its discriminator is not one of"):
        start(first_phase=first[0], discriminator=dataclasses.replace(SMALL, width=8))
    io.write(tmp_path / "saliency.safetensors", {}, {})  # of a first phase without beta
    with pytest.raises(io.NetworkError, match=r"saliency\.safetensors: its discriminator is not one of"):
        start(first_phase=tmp_path)


# -- state


@pytest.mark.parametrize("make", [phase1, phase2])
def test_a_resumed_run_ends_with_the_same_bits(teacher, tmp_path, make):
    def fresh():
        return run_of(make(teacher, discriminator=dataclasses.replace(SMALL, every=4)), epochs=4)

    whole, half, again = fresh(), fresh(), fresh()
    train(whole, split(toy()))
    train(half, split(toy()), lambda run: run.epoch == 2)
    checkpoint.save(tmp_path / "resume.pt", half, "x")
    assert checkpoint.load(tmp_path / "resume.pt", again, "x")
    train(again, split(toy()))
    assert same(weights(whole.net), weights(again.net))
    a, b = whole.memory["saliency"], again.memory["saliency"]
    assert a["steps"] == b["steps"] == 12
    for part in whole.method.objective.parts:
        assert same(a[part]["weights"], b[part]["weights"])
        assert same(a[part]["momentum"], b[part]["momentum"])
        assert any(m.abs().sum() > 0 for m in a[part]["momentum"].values())
    assert whole.method.objective.columns(whole) == again.method.objective.columns(again)
    assert [r["loss"] for r in whole.history] == [r["loss"] for r in again.history]


def test_a_run_can_go_back_to_its_own_checkpoint(teacher, tmp_path):
    whole, run = (run_of(phase1(teacher), epochs=3) for _ in range(2))
    train(whole, split(toy()))
    train(run, split(toy()), lambda run: run.epoch == 1)
    checkpoint.save(tmp_path / "resume.pt", run, "x")
    for _ in range(2):
        assert checkpoint.load(tmp_path / "resume.pt", run, "x")
        train(run, split(toy()))
        assert same(weights(run.net), weights(whole.net))


@pytest.mark.parametrize("statistics", ["running", "batch"])
def test_the_teacher_is_never_touched(teacher, statistics):
    file = (teacher / "model.safetensors").read_bytes()
    run = run_of(phase2(teacher, statistics=statistics))
    train(run, split(toy()))
    live = run.live["saliency"]
    tensors, _ = io.read(teacher / "model.safetensors")
    state = live.state_dict()
    assert set(state) >= {k for k in tensors if "running" not in k}
    assert all(torch.equal(v, tensors[k]) for k, v in state.items())
    assert not live.training
    assert not any(p.requires_grad or p.grad is not None for p in live.parameters())
    assert (teacher / "model.safetensors").read_bytes() == file


def test_statistics_of_the_batch_are_those_of_training_mode(teacher):
    x, y = toy().batch(torch.arange(8), 0)
    other = load_teacher(teacher, "running", 3, x)
    running = paper.saliency(other, x, y)
    other.train()
    trained = paper.saliency(other, x, y)
    batch = paper.saliency(load_teacher(teacher, "batch", 3, x), x, y)
    assert torch.allclose(batch, trained)
    assert not torch.allclose(batch, running)


def test_the_same_in_the_epochs_of_another_run(teacher):
    """Two runs of one method in one process keep apart."""
    runs = [run_of(phase1(teacher), epochs=2) for _ in range(3)]
    train(runs[0], split(toy()))
    for run in runs[1:]:
        train(run, split(toy()), lambda run: run.epoch == 1)
    for run in runs[1:]:
        train(run, split(toy()))
        assert same(weights(run.net), weights(runs[0].net))


# -- what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": -1.0}, "beta -1"),
        ({"gamma": float("inf")}, "gamma inf"),
        ({"warmup_epochs": -1}, "warmup_epochs -1"),
        ({"ks": (50, 60), "epochs_each": 1}, "falling"),
        ({"ks": (0,), "epochs_each": 1}, "above 0"),
        ({"ks": (50,)}, "go together"),
        ({"epochs_each": 3}, "go together"),
        ({"ks": (50,), "epochs_each": 0}, "epochs_each 0"),
        ({"align": False}, "no term"),
        ({"first_phase": Path("p"), "beta": 0.0}, "beta above 0"),
        ({"first_phase": Path("p"), "align": False, "ks": (50,), "epochs_each": 1}, "align true"),
        ({"sign": "both"}, "literal, corrected"),
        ({"of": "margin"}, "probability, logit"),
        ({"statistics": "train"}, "running, batch"),
    ],
)
def test_fields_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        phase1(Path("t"), **change)


@pytest.mark.parametrize(
    "change", [{"layers": 2}, {"layers": 6}, {"width": 0}, {"every": 0}, {"momentum": 1}, {"weight_decay": -1}]
)
def test_discriminator_fields_are_checked(change):
    with pytest.raises(ValueError, match="allowed"):
        Discriminator(**change)


def test_what_is_missing_is_named(teacher, tmp_path):
    data = split(toy())
    step = Step(0, torch.arange(2), torch.rand(2, 1, 6, 6), torch.zeros(2), torch.ones(2), None)
    step.x_adv = step.x
    with pytest.raises(RuntimeError, match="only inside a training run"):
        phase1(teacher)(Small(), step)
    with pytest.raises(ValueError, match="equal fields"):
        train(make_run(Small(), objective=phase1(teacher), extras=(phase1(teacher, beta=1.0),)), data)
    with pytest.raises(io.NetworkError, match="no such file"):
        train(run_of(phase1(tmp_path / "nowhere")), data)
    save_teacher(tmp_path / "ten", n_classes=10)
    with pytest.raises(ValueError, match="10 classes, the student's data have 3"):
        train(run_of(phase1(tmp_path / "ten")), data)
    (tmp_path / "bare").mkdir()
    io.save(tmp_path / "bare" / "model.safetensors", Small(), {})
    with pytest.raises(io.NetworkError, match="no description"):
        train(run_of(phase1(tmp_path / "bare")), data)
    about = io.read(teacher / "model.safetensors")[1]
    io.save(tmp_path / "bare" / "model.safetensors", Small(), about)
    with pytest.raises(io.NetworkError, match="do not fit"):
        train(run_of(phase1(tmp_path / "bare")), data)


def test_a_spec_builds_it():
    fields = {"teacher": "results/runs/x", "beta": 2, "gamma": 20, "ks": [90, 50], "epochs_each": 15}
    built = components.build(Saliency, {**fields, "discriminator": {"layers": 3}}, "s")
    expected = Saliency(
        Path("results/runs/x"), 2.0, 20.0, ks=(90.0, 50.0), epochs_each=15, discriminator=Discriminator(layers=3)
    )
    assert built == expected
    with pytest.raises(ConfigError) as error:
        components.build(Saliency, {**fields, "k": 50, "discriminator": {"layers": 9}}, "s")
    inside, own = error.value.problems
    assert inside == "s.discriminator: layers 9; allowed: from 3 to 5"
    assert own.startswith("s: unknown key 'k'")


def test_of_logits_is_the_cross_entropy():
    z, y = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    assert torch.equal(phase1(Path("t")).of_logits(z, z, y), CrossEntropy().of_logits(z, z, y))


# -- metrics


def test_alignment_of_linear_models_in_closed_form():
    w = torch.randn(4, 12, dtype=torch.float64)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False)).double()
    x = torch.rand(6, 3, 2, 2, dtype=torch.float64)
    with torch.no_grad():
        net[1].weight.copy_(w)
    found = alignment(net, x)
    for i, flat in enumerate(x.flatten(1)):
        z = w @ flat
        best = int(z.argmax())
        others = [j for j in range(4) if j != best]
        rho, second = min((float((z[best] - z[j]) / (w[best] - w[j]).norm()), j) for j in others)
        assert found.rho[i].item() == pytest.approx(rho)
        assert found.alpha[i].item() == pytest.approx(float((flat @ w[best]).abs() / w[best].norm()))
        assert found.jacobian[i].item() == pytest.approx(float((w[best] - w[second]).norm()))
    assert torch.allclose(found.rho, found.alpha_plus)  # equation 5 without an error term
    with torch.no_grad():
        net[1].weight.copy_(torch.cat([w[:1], -w[:1], w[:1] * 0, w[:1] * 0]))  # two classes of opposite score
        net[1].weight[2:] = -10 * w[:1].abs()
    found = alignment(net, x)
    assert torch.allclose(found.alpha, found.alpha_plus)


def test_alignment_against_the_whole_jacobian_and_it_leaves_the_network_alone():
    net = smooth()
    before, x = weights(net), toy().images[:5].double()
    found = alignment(net, x)
    assert net.training
    assert same(before, weights(net))
    net.eval()
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(net, x[i : i + 1])[0].detach().flatten(1)
        z = net(x[i : i + 1])[0].detach()
        best = int(z.argmax())
        rho, second = min(
            (float((z[best] - z[j]) / (jacobian[best] - jacobian[j]).norm()), j) for j in range(3) if j != best
        )
        g = jacobian[best] - jacobian[second]
        assert found.rho[i].item() == pytest.approx(rho)
        assert found.alpha_plus[i].item() == pytest.approx(float((x[i].flatten() @ g).abs() / g.norm()))
        own = jacobian[best]
        assert found.alpha[i].item() == pytest.approx(float((x[i].flatten() @ own).abs() / own.norm()))


def test_alignment_of_a_network_that_standardises_each_image_is_zero():
    """Its logits do not change with the scale of an image, so by Euler x is orthogonal to every gradient."""
    net, x = build("resnet_tiny", seed=0, standardise="image", **SHAPE), toy().images
    found = alignment(net, x)
    assert found.alpha.max() < 1e-4
    assert found.alpha_plus.max() < 1e-4
    assert alignment(build("resnet_tiny", seed=0, standardise="channel", **SHAPE), x).alpha.mean() > 0.1


def test_localisation():
    mask = torch.zeros(3, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    maps = torch.zeros(3, 2, 4, 4)
    maps[0, :, 0] = -1.0
    maps[1] = 0.5
    share = localisation(maps, mask)
    assert share[:2].tolist() == [1.0, 0.5]
    assert share[2].isnan()


def test_costs_of_a_step_are_counted(teacher):
    run = run_of(phase2(teacher), epochs=1)
    train(run, split(toy()))
    assert run.history[0]["forward"] == 24
    assert run.history[0]["backward"] == 3 * 24  # J_S, J_CE, the weights; the teacher's are not the network's
    assert isinstance(run, nouns.Run)
