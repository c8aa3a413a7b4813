import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from sklearn.linear_model import orthogonal_mp_gram
from torch import nn
from torch.nn import functional as F

from leanat.cost.held import most_bytes
from leanat.selection import facility
from leanat.selection.facility import facility_location
from leanat.selection.granularity import batch_budget, budget_of, per_batch, per_class, shares, top_up
from leanat.selection.matching import matching_pursuit
from leanat.selection.outer_products import Gradients
from leanat.selection.taylor import Validation, candidates, taylor_greedy

quick = settings(max_examples=100, deadline=None)


def random_gradients(n, k, d, parts, dtype=torch.float64):
    feature = (lambda: torch.randn(n, d, dtype=dtype)) if d else (lambda: None)
    return Gradients(tuple((torch.randn(n, k, dtype=dtype), feature()) for _ in range(parts)))


# --- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [0, 5])
@pytest.mark.parametrize("parts", [1, 2])
def test_factored_gradients_equal_the_vectors(d, parts):
    g, h = random_gradients(7, 3, d, parts), random_gradients(4, 3, d, parts)
    rows = g.dense()
    assert rows.shape == (7, g.dim)
    torch.testing.assert_close(g.dot(h), rows @ h.dense().T)
    torch.testing.assert_close(g.squared_norms(), rows.square().sum(1))
    torch.testing.assert_close(g.sum(), rows.sum(0))
    weight = torch.rand(7).double()
    torch.testing.assert_close(g.sum(weight), weight @ rows)
    vector = torch.randn(g.dim).double()
    torch.testing.assert_close(g.along(vector), rows @ vector)
    batches = torch.randperm(7).split(3)
    torch.testing.assert_close(g.means(batches), torch.stack([rows[b].mean(0) for b in batches]))
    torch.testing.assert_close(g[2:5].dense(), rows[2:5])


def test_gradients_are_autograds():
    """Clean and adversarial parts: the vector is d(loss of both)/d[weight, bias] of the last layer."""
    last = nn.Linear(5, 3).double()
    phi, phi_adv, y = torch.randn(6, 5).double(), torch.randn(6, 5).double(), torch.randint(3, (6,))
    z, z_adv = last(phi), last(phi_adv)
    losses = F.cross_entropy(z, y, reduction="none")
    losses = losses + 6 * F.kl_div(z_adv.log_softmax(1), z.softmax(1), reduction="none").sum(1)
    a, a_adv = torch.autograd.grad(losses.sum(), (z, z_adv), retain_graph=True)
    g = Gradients(((a, phi), (a_adv, phi_adv))).dense()
    for i in range(6):
        weight, bias = torch.autograd.grad(losses[i], (last.weight, last.bias), retain_graph=True)
        torch.testing.assert_close(g[i], torch.cat([weight, bias[:, None]], 1).flatten())


@pytest.mark.parametrize(
    "parts",
    [
        (),
        ((torch.zeros(3), None),),
        ((torch.zeros(3, 2), torch.zeros(2, 4)),),
        ((torch.zeros(3, 2), None), (torch.zeros(3, 2), torch.zeros(3, 4))),
        ((torch.zeros(3, 2), None), (torch.zeros(4, 2), None)),
        ((torch.zeros(3, 2), torch.zeros(3, 4)), (torch.zeros(3, 2), torch.zeros(3, 5))),
    ],
)
def test_parts_that_do_not_fit(parts):
    with pytest.raises(ValueError, match="part"):
        Gradients(parts)


def test_half_precision_is_raised():
    assert Gradients.of(torch.ones(2, 2, dtype=torch.bfloat16)).dense().dtype == torch.float32


# --- facility location -----------------------------------------------------------------------------------------------


def naive_greedy(similarity, budget):
    """Exhaustive: every gain every time, the first of the largest."""
    best, chosen = np.zeros(len(similarity), similarity.dtype), []
    for _ in range(budget):
        gains = np.maximum(similarity - best, 0).sum(1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        best = np.maximum(best, similarity[chosen[-1]])
    return chosen


def cluster_sizes(similarity, chosen):
    """Every point to its most similar chosen point: itself if chosen, else the first of the best."""
    owner = similarity[chosen].argmax(0)
    owner[chosen] = np.arange(len(chosen))
    return np.bincount(owner, minlength=len(chosen)).tolist()


def coverage(similarity, chosen):
    return float(similarity[list(chosen)].max(0).sum()) if len(chosen) else 0.0


def similarity_of(x):
    squared = np.square(x[:, None].astype(np.float64) - x[None].astype(np.float64)).sum(-1)
    return squared.max() - squared


def of_similarities(similarity, budget):
    """``facility_location`` for similarities [n, n]; row j holds what candidate j is to every point."""
    chosen, owner = facility._lazy_greedy(facility._Stored(similarity), min(budget, len(similarity)), widest=1)
    index, weight = facility._result(chosen, owner, torch.device("cpu"))
    return index.tolist(), weight.tolist()


def test_lazy_equals_exhaustive_on_integers():
    """200 matrices with many ties, all budgets up to the whole set."""
    rng = np.random.default_rng(0)
    for trial in range(200):
        n = int(rng.integers(1, 14))
        similarity = rng.integers(0, int(rng.integers(1, 6)) + 1, (n, n)).astype(np.float32)
        budget = int(rng.integers(0, n + 3))
        index, weight = of_similarities(similarity, budget)
        assert index == naive_greedy(similarity, min(budget, n)), trial
        assert not budget or weight == cluster_sizes(similarity, index)


def test_lazy_equals_exhaustive_on_floats():
    """Rounded gains are monotone too, so not one bit of difference is allowed for."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        similarity = similarity_of(rng.normal(size=(60, 3))).astype(np.float32)
        assert of_similarities(similarity, 60)[0] == naive_greedy(similarity, 60)


@pytest.mark.parametrize("way", ["stored", "computed", "neighbours"])
def test_features_of_integers(way, monkeypatch):
    """The similarity that is stored, computed column by column, or thinned to neighbours: one sequence."""
    if way != "stored":
        monkeypatch.setattr(facility, "_WIDEST", 8)
        computed = facility._Computed
        room = 500 if way == "neighbours" else 1
        monkeypatch.setattr(facility, "_Computed", lambda distances, n: computed(distances, n, room))
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = rng.integers(0, 3, (20, 3)).astype(np.float32)
        x = np.concatenate([x, -x])  # mean zero: all arithmetic is exact, and duplicates are plenty
        index, weight = facility_location(torch.from_numpy(x), 25, dense_bytes=1 << 20 if way == "stored" else 0)
        similarity = similarity_of(x)
        assert index.tolist() == naive_greedy(similarity, 25)
        assert len(set(index.tolist())) == 25
        assert weight.tolist() == cluster_sizes(similarity, index.tolist())
        assert weight.sum() == 40
        assert (weight >= 1).all()


def test_weights_are_cluster_sizes():
    x = torch.randn(50, 4)
    index, weight = facility_location(x, 12)
    owner = torch.cdist(x, x[index]).argmin(1)
    assert weight.tolist() == owner.bincount(minlength=12).tolist()


@pytest.mark.parametrize("dense_bytes", [0, 1 << 30])
@pytest.mark.parametrize("d", [3, 5000])
def test_equal_gradients_tie(d, dense_bytes):
    """Rounding of a large inner product must not tell equal gradients apart: the first of each comes, then its copies."""
    distinct = Gradients(((torch.randn(8, 10), 30 + torch.randn(8, d)),))
    copies = torch.randint(8, (60,))
    distances = facility._Distances(distinct[copies])(slice(60))
    assert ((distances == 0) == (copies[:, None] == copies).numpy()).all()
    index, weight = facility_location(distinct[copies], 60, dense_bytes)
    first = {int((copies == c).nonzero()[0]) for c in copies.unique()}
    assert set(index[: len(first)].tolist()) == first
    assert index[len(first) :].tolist() == sorted(set(range(60)) - first)
    assert facility_location(distinct[copies], len(first), dense_bytes)[1].sum() == 60
    assert weight.tolist() == [1.0] * 60


def test_facility_location_on_factored_gradients():
    g = random_gradients(60, 4, 6, parts=2, dtype=torch.float32)
    dense = facility_location(g.dense(), 20)
    for choice in (facility_location(g, 20), facility_location(g, 20, dense_bytes=0)):
        assert choice[0].tolist() == dense[0].tolist()
        assert choice[1].tolist() == dense[1].tolist()


@pytest.mark.parametrize("optimizer", ["lazy", "naive"])
def test_apricot_chooses_the_same(optimizer):
    """apricot's naive optimiser is exhaustive; its lazy one is what CORDS and ACS call."""
    apricot = pytest.importorskip("apricot")
    rng = np.random.default_rng(3)
    similarity = similarity_of(rng.normal(size=(80, 5)))
    theirs = apricot.FacilityLocationSelection(20, metric="precomputed", optimizer=optimizer)
    theirs.fit(similarity)
    index, _ = of_similarities(similarity, 20)
    assert set(index) == set(theirs.ranking.tolist())
    assert coverage(similarity, index) == pytest.approx(coverage(similarity, theirs.ranking), rel=1e-12)
    assert coverage(similarity, index) == pytest.approx(float(np.sum(theirs.gains)), rel=1e-6)


def test_greedy_guarantee():
    """At least (1 - 1/e) of the best set, found by trying all."""
    rng = np.random.default_rng(4)
    for _ in range(30):
        similarity = rng.random((9, 9)) ** 3
        chosen = of_similarities(similarity, 3)[0]
        best = max(coverage(similarity, s) for s in itertools.combinations(range(9), 3))
        assert coverage(similarity, chosen) >= (1 - 1 / math.e) * best


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("budget", [0, 1, 5])
def test_facility_location_of_next_to_nothing(n, budget):
    for dense_bytes in (0, 1 << 20):
        index, weight = facility_location(torch.zeros(n, 3), budget, dense_bytes)
        assert index.tolist() == list(range(min(n, budget)))
        assert weight.sum() == (n if min(n, budget) else 0)


def test_facility_location_errors():
    with pytest.raises(ValueError, match="budget -1"):
        facility_location(torch.zeros(2, 2), -1)
    with pytest.raises(ValueError, match="finite"):
        facility_location(torch.tensor([[0.0], [torch.nan]]), 1)


# --- matching pursuit ------------------------------------------------------------------------------------------------


def atoms_of(seed, n, d, mean=0.0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(n, d)) + mean)


def residual_of(atoms, target, index, weight):
    return float((target - weight.double() @ atoms[index]).norm())


def test_equals_sklearn_where_no_sign_is_asked():
    for seed in range(20):
        atoms = atoms_of(seed, 30, 40)
        target = atoms.sum(0)
        index, weight, _ = matching_pursuit(atoms, target, 12, nonnegative=False)
        theirs = orthogonal_mp_gram((atoms @ atoms.T).numpy(), (atoms @ target).numpy(), n_nonzero_coefs=12)
        assert sorted(index.tolist()) == np.flatnonzero(theirs).tolist()
        np.testing.assert_allclose(weight.numpy(), theirs[index.numpy()], rtol=1e-6)


def test_equals_sklearn_where_its_weights_are_positive_anyway():
    compared = 0
    for seed in range(40):
        atoms = atoms_of(seed, 25, 60, mean=0.3)
        target = atoms.sum(0)
        theirs = orthogonal_mp_gram((atoms @ atoms.T).numpy(), (atoms @ target).numpy(), n_nonzero_coefs=8)
        if theirs.min() < 0:
            continue
        index, weight, _ = matching_pursuit(atoms, target, 8)
        assert sorted(index.tolist()) == np.flatnonzero(theirs).tolist()
        np.testing.assert_allclose(weight.numpy(), theirs[index.numpy()], rtol=1e-6)
        compared += 1
    assert compared > 20


def test_many_vectors_have_one_gram_matrix():
    """As many atoms as CIFAR-10 has batches: numpy's product of one matrix, and scikit-learn's set."""
    atoms = atoms_of(0, 391, 500)
    target = atoms.sum(0)
    index, weight, _ = matching_pursuit(atoms, target, 60, nonnegative=False)
    theirs = orthogonal_mp_gram((atoms @ atoms.T).numpy(), (atoms @ target).numpy(), n_nonzero_coefs=60)
    assert sorted(index.tolist()) == np.flatnonzero(theirs).tolist()
    np.testing.assert_allclose(weight.numpy(), theirs[index.numpy()], rtol=1e-5)
    with_gram, without = (matching_pursuit(atoms, target, 60, gram_bytes=size) for size in (1 << 30, 0))
    assert with_gram.index.tolist() == without.index.tolist()
    torch.testing.assert_close(with_gram.weight, without.weight)


@pytest.mark.parametrize("gram_bytes", [0, 1 << 30])
@pytest.mark.parametrize("n", [60, 300])
def test_long_vectors_are_not_held_in_double_precision_too(n, gram_bytes):
    """The 391 gradients of a ResNet-18 are 17.5 GB in single precision; all of them in double precision would be 35 GB more."""
    atoms = torch.randn(n, 1_200_000 // n, generator=torch.Generator().manual_seed(0)) + 0.01
    target, found = atoms.double().sum(0), []

    def work(double_bytes):
        found.append(matching_pursuit(atoms, target, 20, 0.5, gram_bytes=gram_bytes, double_bytes=double_bytes))

    peak = most_bytes(lambda: work(1_000_000), torch.device("cpu"))
    work(1 << 40)
    assert peak < 2.2 * 1_000_000, "one piece, or one and its products; all take 9.6 million bytes"
    ours, theirs = found
    assert ours.index.tolist() == theirs.index.tolist()
    torch.testing.assert_close(ours.weight, theirs.weight)
    assert ours.residual == pytest.approx(theirs.residual)


@pytest.mark.parametrize("gram_bytes", [0, 1 << 30])
@pytest.mark.parametrize("lam", [0.0, 0.5])
def test_weights_are_the_nonnegative_least_squares(lam, gram_bytes):
    for seed in range(40):
        n, d = 60, [8, 20, 50][seed % 3]
        atoms = atoms_of(seed, n, d)
        target = atoms.sum(0)
        index, weight, residual = matching_pursuit(atoms, target, 25, lam=lam, gram_bytes=gram_bytes)
        assert (weight > 0).all()
        assert len(set(index.tolist())) == len(index) <= 25
        rows = np.concatenate([atoms[index].numpy().T, lam**0.5 * np.eye(len(index))])
        exact, _ = nnls(rows, np.concatenate([target.numpy(), np.zeros(len(index))]))
        if np.linalg.cond(rows) < 1e6:
            np.testing.assert_allclose(weight.numpy(), exact, rtol=1e-5, atol=1e-6 * exact.max())
        assert residual == pytest.approx(residual_of(atoms, target, index, weight), rel=1e-3, abs=1e-5)
        assert residual <= np.linalg.norm(atoms[index].numpy().T @ exact - target.numpy()) * (1 + 1e-9) + 1e-9


@quick
@given(st.integers(0, 10_000), st.integers(1, 25), st.integers(1, 25), st.sampled_from([0.0, 0.1, 2.0]))
def test_the_minimum_never_grows_with_the_budget(seed, n, d, lam):
    atoms = atoms_of(seed, n, d)
    target = atoms.sum(0)
    values = []
    for budget in range(n + 1):
        index, weight, residual = matching_pursuit(atoms, target, budget, lam=lam)
        assert len(index) <= budget
        assert residual <= float(target.norm()) * (1 + 1e-12)
        values.append(residual**2 + lam * float(weight.double().square().sum()))
    assert all(b <= a + 1e-6 * values[0] for a, b in itertools.pairwise(values))


def reference_pursuit(atoms, target, budget):
    """Matching pursuit with Lawson and Hanson's refit, by least squares from scratch every time."""
    taken, weight, dropped = [], np.zeros(0), 0
    while len(taken) < budget:
        correlation = atoms @ (target - atoms[taken].T @ weight)
        correlation[taken] = -np.inf
        if correlation.max() <= 1e-9:
            break
        taken.append(int(correlation.argmax()))
        weight = np.append(weight, 0.0)
        while (free := np.linalg.lstsq(atoms[taken].T, target, rcond=None)[0]).min() <= 0:
            steps = np.where(free <= 0, weight / np.maximum(weight - free, 1e-300), np.inf)
            weight = weight + steps.min() * (free - weight)
            keep = [i for i in range(len(taken)) if i != steps.argmin()]
            taken, weight, dropped = [taken[i] for i in keep], weight[keep], dropped + 1
        weight = free
    return taken, weight, dropped


@pytest.mark.parametrize("kind", ["sum", "any"])
def test_follows_the_reference_through_every_drop(kind):
    drops = 0
    for seed in range(30):
        atoms = atoms_of(seed, 80, 40)
        target = atoms.sum(0) if kind == "sum" else atoms_of(seed + 99, 1, 40)[0]
        taken, exact, dropped = reference_pursuit(atoms.numpy(), target.numpy(), 35)
        index, weight, _ = matching_pursuit(atoms, target, 35)
        assert sorted(index.tolist()) == sorted(taken)
        ours = dict(zip(index.tolist(), weight.tolist(), strict=True))
        np.testing.assert_allclose([ours[j] for j in taken], exact, rtol=1e-5)
        drops += dropped
    assert drops > 30


def test_fills_the_budget_and_optimality():
    """With room left, all 150; and where it stops short, it has the minimum over all atoms."""
    atoms = atoms_of(0, 200, 300, mean=0.2)
    assert len(matching_pursuit(atoms, atoms.sum(0), 150).index) == 150
    atoms = atoms_of(1, 200, 10)
    target = torch.ones(10).double()
    index, _, residual = matching_pursuit(atoms, target, 200)
    assert len(index) <= 10
    assert residual == pytest.approx(nnls(atoms.numpy().T, target.numpy())[1], abs=1e-7)


def test_atoms_of_very_different_size():
    """A confident network's gradients: most are tiny, and still fill the budget while a residual is left."""
    atoms = atoms_of(3, 100, 60, mean=0.2) * torch.logspace(0, -30, 100).double()[:, None]
    target = atoms_of(4, 1, 60)[0].abs()
    values = [matching_pursuit(atoms, target, budget) for budget in (20, 40)]
    assert [len(m.index) for m in values] == [20, 40]
    assert 1e-3 < values[1].residual < values[0].residual


def test_atoms_beyond_the_rank_are_not_taken():
    """Duplicates and combinations of taken atoms do not correlate with the residual: fewer come back."""
    base = atoms_of(2, 5, 30)
    atoms = torch.cat([base, base, base.sum(0, keepdim=True)])
    target = base.sum(0) * 3
    index, weight, residual = matching_pursuit(atoms, target, 11)
    assert index.tolist() == [10]
    assert weight.item() == pytest.approx(3)
    assert residual < 1e-9 * float(target.norm())
    far = torch.randn(30).double()
    index, _, _ = matching_pursuit(atoms, far, 11, nonnegative=False)
    assert len(index) == 5


def test_ridge_shares_weight_between_duplicates():
    atoms = torch.eye(3).double()[[0, 0, 1]]
    index, weight, _ = matching_pursuit(atoms, torch.tensor([2.0, 1.0, 0.0]).double(), 3, lam=1.0)
    assert dict(zip(index.tolist(), weight.tolist(), strict=True)) == pytest.approx({0: 2 / 3, 1: 2 / 3, 2: 0.5})


def test_factored_atoms():
    g = random_gradients(40, 3, 6, parts=2)
    dense = matching_pursuit(g.dense(), g.sum(), 15)
    for gram_bytes in (0, 1 << 30):
        index, weight, residual = matching_pursuit(g, g.sum(), 15, gram_bytes=gram_bytes)
        assert index.tolist() == dense.index.tolist()
        torch.testing.assert_close(weight, dense.weight)
        assert residual == pytest.approx(dense.residual)


@pytest.mark.parametrize(("n", "budget"), [(0, 0), (0, 3), (1, 0), (1, 1), (3, 9)])
def test_matching_of_next_to_nothing(n, budget):
    atoms = torch.eye(3)[:n]
    index, weight, residual = matching_pursuit(atoms, 2 * torch.ones(3), budget)
    assert index.tolist() == list(range(min(n, budget)))
    assert weight.tolist() == [2.0] * min(n, budget)
    assert residual == pytest.approx(2 * (3 - min(n, budget)) ** 0.5)
    assert len(matching_pursuit(atoms, torch.zeros(3), budget).index) == 0


def test_matching_errors():
    atoms = torch.eye(2)
    for arguments in ({"budget": -1}, {"budget": 1, "lam": -1.0}, {"budget": 1, "tol": math.nan}):
        with pytest.raises(ValueError, match="at least 0"):
            matching_pursuit(atoms, torch.ones(2), **arguments)
    with pytest.raises(ValueError, match="shape"):
        matching_pursuit(atoms, torch.ones(3), 1)
    with pytest.raises(ValueError, match="finite"):
        matching_pursuit(atoms, torch.tensor([1.0, torch.inf]), 1)


def published_pursuit(atoms, target, budget, lam):
    """The published solver's rules, said once more with plain solves."""
    taken, weight = [], np.zeros(0)
    for _ in range(budget):
        j = int((atoms @ (target - atoms[taken].T @ weight)).argmax())
        if j in taken:
            break
        taken.append(j)
        if len(taken) == 1:
            weight = np.array([atoms[j] @ target / (atoms[j] @ atoms[j])])
            continue
        solve = lambda s: np.linalg.solve(atoms[s] @ atoms[s].T + lam * np.eye(len(s)), atoms[s] @ target)  # noqa: E731
        weight = solve(taken)
        while weight.min() < 0:
            worst = int(weight.argmin())
            newest = worst == len(taken) - 1
            del taken[worst]
            if newest:
                return taken, weight[:-1]
            weight = solve(taken)
    return taken, weight


def test_as_published_stops_early():
    shorter = 0
    for seed in range(30):
        atoms = atoms_of(seed, 40, 30)
        target, lam = atoms.sum(0), [0.0, 0.5, 20.0][seed % 3]
        taken, weight = published_pursuit(atoms.numpy(), target.numpy(), 25, lam)
        index, w, _ = matching_pursuit(atoms, target, 25, lam=lam, as_published=True)
        assert sorted(index.tolist()) == sorted(taken)
        ours = dict(zip(index.tolist(), w.tolist(), strict=True))
        np.testing.assert_allclose([ours[j] for j in taken], weight, rtol=1e-5, atol=1e-5)
        shorter += len(index) < len(matching_pursuit(atoms, target, 25, lam=lam).index)
    assert shorter > 20


def test_as_published_stops_at_a_negative_newcomer():
    """The first weight knows no ridge, so the second atom seems to help; with the ridge its weight is negative."""
    atoms, target = torch.tensor([[1.0, 0.0], [-0.2, 1.0]]), torch.tensor([1.0, 0.1])
    index, weight, _ = matching_pursuit(atoms, target, 2, lam=5.0, as_published=True)
    both = np.linalg.solve([[6.0, -0.2], [-0.2, 6.04]], [1.0, -0.1])
    assert both[1] < 0
    assert index.tolist() == [0]
    assert weight.tolist() == pytest.approx([both[0]])  # of the solve with both, as it was left


def test_top_up():
    index, weight = torch.tensor([3, 1]), torch.tensor([5.0, 2.0])
    uniform = torch.tensor([0.4, 0.0, 0.2, 0.1, 0.3])
    more, w = top_up(index, weight, uniform, 4)
    assert more.tolist() == [3, 1, 2, 4]
    assert w.tolist() == [5, 2, 1, 1]
    assert top_up(index, weight, uniform, 9)[0].tolist() == [3, 1, 2, 4, 0]
    assert top_up(index, weight, uniform, 1)[0].tolist() == [3, 1]


# --- Taylor greedy ---------------------------------------------------------------------------------------------------


def last_layer(m, k, d, features=True):
    layer = nn.Linear(d, k).double()
    phi, y = torch.randn(m, d).double(), torch.randint(k, (m,))
    return layer, Validation(layer(phi).detach(), phi if features else None, y)


def test_gradient_of_the_validation_loss_is_autograds():
    layer, validation = last_layer(9, 4, 6)
    loss = F.cross_entropy(layer(validation.phi), validation.y)
    weight, bias = torch.autograd.grad(loss, (layer.weight, layer.bias))
    torch.testing.assert_close(validation.gradient(), torch.cat([weight, bias[:, None]], 1).flatten())
    torch.testing.assert_close(validation.loss(), loss.detach())


@pytest.mark.parametrize("features", [True, False])
def test_refreshed_logits_are_those_of_the_moved_layer(features):
    layer, validation = last_layer(9, 4, 6, features)
    g = random_gradients(3, 4, 6 if features else 0, parts=2)
    step = 0.05 * g.sum()
    if features:
        rows = step.view(4, 7)
        moved = F.linear(validation.phi, layer.weight.detach() - rows[:, :-1], layer.bias.detach() - rows[:, -1])
    else:
        moved = validation.z - step
    torch.testing.assert_close(validation.after(step).z, moved)


@pytest.mark.parametrize("features", [True, False])
def test_taylor_gain_is_the_first_order_change_of_the_loss(features):
    _, validation = last_layer(9, 4, 6, features)
    g = random_gradients(5, 4, 6 if features else 0, parts=2)
    slope = g.along(validation.gradient())
    for i in range(5):
        errors = []
        for eta in (1e-3, 1e-4):
            change = validation.loss() - validation.after(eta * g[i : i + 1].sum()).loss()
            errors.append(abs(float(change - eta * slope[i])))
        assert errors[1] < errors[0] / 50 or errors[1] < 1e-13  # the rest is of second order: a hundredth


def taylor_by_hand(g, validation, eta, sizes):
    """Recomputes everything from the layer's total movement each round."""
    start, total, chosen = validation, torch.zeros(g.dim).double(), []
    for size in sizes:
        gain = g.dense() @ start.after(eta * total).gradient()
        rest = [i for i in sorted(range(len(g)), key=lambda i: (-float(gain[i]), i)) if i not in chosen]
        chosen += rest[:size]
        total = g.dense()[chosen].sum(0)
    return chosen


@pytest.mark.parametrize(
    ("rounds", "budget", "sizes"),
    [(None, 4, [1] * 4), (3, 11, [4, 4, 3]), (15, 7, [1] * 7), (1, 6, [6]), (15, 40, [3] * 10 + [2] * 5)],
)
@pytest.mark.parametrize("features", [True, False])
def test_rounds(rounds, budget, sizes, features):
    _, validation = last_layer(9, 4, 6, features)
    g = random_gradients(40, 4, 6 if features else 0, parts=2)
    index, weight = taylor_greedy(g, validation, budget, 0.05, rounds)
    assert index.tolist() == taylor_by_hand(g, validation, 0.05, sizes)
    assert weight.tolist() == [1.0] * budget
    batches = taylor_greedy(g.dense(), validation, budget, 0.05, rounds)  # vectors, as batch means are
    assert batches[0].tolist() == index.tolist()


def test_each_round_sees_the_refresh():
    _, validation = last_layer(9, 4, 6)
    g = random_gradients(40, 4, 6, parts=1)
    naive, at_once = (taylor_greedy(g, validation, 20, 0.3, rounds)[0] for rounds in (None, 1))
    assert set(naive.tolist()) != set(at_once.tolist())


def test_stochastic():
    _, validation = last_layer(9, 4, 6)
    g = random_gradients(40, 4, 6, parts=1)
    width = candidates(40, 10)
    assert width == int(4 * math.log(100))
    uniform = torch.rand(10, width)
    index, weight = taylor_greedy(g, validation, 10, 0.05, uniform=uniform)
    assert len(set(index.tolist())) == 10
    assert weight.tolist() == [1.0] * 10
    assert index.tolist() == taylor_greedy(g, validation, 10, 0.05, uniform=uniform)[0].tolist()
    assert index.tolist() != taylor_greedy(g, validation, 10, 0.05, uniform=torch.rand(10, width))[0].tolist()
    # When every step sees all that remain, it is the naive greedy.
    everything = taylor_greedy(g, validation, 40, 0.05, uniform=torch.rand(40, candidates(40, 40)))[0]
    assert sorted(everything.tolist()) == list(range(40))
    assert candidates(6, 2) == 6
    few = taylor_greedy(g[:6], validation, 2, 0.05, uniform=torch.rand(2, 6))[0]
    assert few.tolist() == taylor_greedy(g[:6], validation, 2, 0.05, None)[0].tolist()


def test_ties_go_to_the_lowest_index():
    _, validation = last_layer(9, 4, 6)
    g = random_gradients(1, 4, 6, parts=1)[torch.zeros(8, dtype=torch.int64)]
    assert taylor_greedy(g, validation, 5, 0.05)[0].tolist() == [0, 1, 2, 3, 4]
    assert taylor_greedy(g, validation, 5, 0.05, None)[0].tolist() == [0, 1, 2, 3, 4]


def test_taylor_errors_and_next_to_nothing():
    _, validation = last_layer(9, 4, 6)
    g = random_gradients(3, 4, 6, parts=1)
    assert taylor_greedy(g, validation, 0, 0.1)[0].tolist() == []
    assert sorted(taylor_greedy(g, validation, 9, 0.1)[0].tolist()) == [0, 1, 2]
    for budget, eta, rounds in ((-1, 0.1, 15), (1, 0.0, 15), (1, 0.1, 0)):
        with pytest.raises(ValueError, match="at least"):
            taylor_greedy(g, validation, budget, eta, rounds)
    with pytest.raises(ValueError, match="numbers"):
        taylor_greedy(random_gradients(3, 4, 0, parts=1), validation, 1, 0.1)
    with pytest.raises(ValueError, match="no validation"):
        taylor_greedy(g, Validation(validation.z[:0], validation.phi[:0], validation.y[:0]), 1, 0.1)
    with pytest.raises(ValueError, match="shape"):
        taylor_greedy(g, validation, 1, 0.1, uniform=torch.rand(1, 7))


# --- all three on planted clusters -----------------------------------------------------------------------------------


def planted():
    """Five clusters of equal examples, of sizes 4, 1, 7, 2, 6, in random order; each is one class, predicted wrong."""
    sizes = [4, 1, 7, 2, 6]
    cluster = torch.tensor([c for c, size in enumerate(sizes) for _ in range(size)])[torch.randperm(20)]
    phi = torch.eye(5)[cluster] * 3
    a = torch.full((20, 5), 0.2) - torch.eye(5)[cluster]
    return cluster, torch.tensor(sizes), Gradients(((a, phi),))


def test_one_per_planted_cluster():
    cluster, sizes, g = planted()
    first = [int((cluster == c).nonzero()[0]) for c in range(5)]
    index, weight = facility_location(g, 5)
    assert sorted(index.tolist()) == sorted(first)
    assert weight.tolist() == sizes[cluster[index]].tolist()

    index, weight, residual = matching_pursuit(g, g.sum(), 5)
    assert sorted(index.tolist()) == sorted(first)
    torch.testing.assert_close(weight, sizes[cluster[index]].float())
    assert residual < 1e-6

    validation = Validation(torch.zeros(10, 5), torch.eye(5).repeat(2, 1) * 3, torch.arange(5).repeat(2))
    index, weight = taylor_greedy(g, validation, 5, eta=1.0, rounds=None)
    assert sorted(index.tolist()) == sorted(first)
    assert weight.tolist() == [1.0] * 5


# --- per class and per batch -----------------------------------------------------------------------------------------


def test_a_share_in_whole_percent_is_rounded_up_as_the_exact_fraction_is():
    for n in range(1, 400):
        assert all(budget_of(n, percent / 100) == -(-n * percent // 100) for percent in range(1, 101))


@quick
@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 300))
def test_shares(sizes, budget):
    share = shares(sizes, budget)
    total, classes = sum(sizes), sum(size > 0 for size in sizes)
    assert sum(share) == min(budget, total)
    assert all(0 <= s <= size for s, size in zip(share, sizes, strict=True))
    if budget >= classes:
        assert all(s >= 1 for s, size in zip(share, sizes, strict=True) if size)
    quotas = [min(budget, total) * size / max(total, 1) for size in sizes]
    if budget < classes or all(q >= 1 for q, size in zip(quotas, sizes, strict=True) if size):
        assert all(abs(s - q) < 1 for s, q in zip(share, quotas, strict=True))
    # Larger classes never get less.
    assert all(s >= t for (s, a), (t, b) in itertools.permutations(zip(share, sizes, strict=True), 2) if a > b)


def test_shares_by_example():
    assert shares([5000] * 10, 15000) == [1500] * 10
    assert shares([10, 10, 10], 10) == [4, 3, 3]
    assert shares([1, 99], 10) == [1, 9]
    assert shares([1000, *[10] * 50], 150) == [100, *[1] * 50]
    assert shares([1, 1, 98], 2) == [0, 0, 2]
    assert shares([], 3) == []
    with pytest.raises(ValueError, match="budget"):
        shares([3], -1)


@quick
@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 50))
def test_per_class_covers_exactly(labels, budget):
    labels = torch.tensor(labels, dtype=torch.int64)
    asked = []

    def solver(members, k):
        asked.append(k)
        assert len(labels[members].unique()) == 1
        return torch.arange(len(members)).flip(0)[:k], torch.arange(k)

    index, weight = per_class(solver, labels, budget)
    assert len(index) == len(weight) == min(budget, len(labels)) == sum(asked)
    assert len(set(index.tolist())) == len(index)
    assert weight.dtype == torch.float32
    assert all(asked)


@quick
@given(st.integers(0, 40), st.integers(1, 9), st.integers(0, 50))
def test_per_batch_covers_exactly(n, size, budget):
    g = random_gradients(n, 2, 3, parts=1)
    order = torch.randperm(n)
    batches = [b.tolist() for b in order.split(size)] if n else []

    def solver(atoms, k):
        assert atoms.shape == (len(batches), g.dim)
        for atom, batch in zip(atoms, batches, strict=True):
            torch.testing.assert_close(atom, g.dense()[batch].mean(0))
        assert k == batch_budget(n, size, budget)
        last = torch.arange(len(atoms)).flip(0)[:k]
        return last, last + 1.0

    index, weight = per_batch(solver, g, order, size, budget)
    chosen = list(range(len(batches)))[::-1][: batch_budget(n, size, budget)]
    assert index.tolist() == [i for b in chosen for i in batches[b]]
    assert weight.tolist() == [b + 1.0 for b in chosen for _ in batches[b]]
    if budget >= n:
        assert sorted(index.tolist()) == list(range(n))
    assert len(chosen) * size >= min(budget, n)


def test_batch_budget():
    assert batch_budget(50_000, 128, 25_000) == 196
    assert batch_budget(50_000, 128, 50_000) == batch_budget(50_000, 128, 10**9) == 391
    assert batch_budget(10, 4, 1) == 1
    with pytest.raises(ValueError, match="at least 1 example"):
        per_batch(lambda atoms, k: (), random_gradients(3, 2, 3, 1), torch.arange(3), 0, 1)


def test_the_solvers_per_class_and_per_batch():
    """The shapes in which the papers use them: all six combinations run and keep their promises."""
    n, labels, order = 83, torch.randint(5, (83,)), torch.randperm(83)
    g = random_gradients(n, 5, 4, parts=2, dtype=torch.float32)
    _, validation = last_layer(9, 5, 4)
    validation = Validation(validation.z.float(), validation.phi.float(), validation.y)
    index, weight = per_class(lambda members, k: facility_location(g[members], k), labels, 30)
    assert len(index) == 30
    assert weight.sum() == n
    for c in range(5):
        assert weight[labels[index] == c].sum() == (labels == c).sum()
    index, _ = per_class(lambda members, k: matching_pursuit(g[members], g[members].sum(), k), labels, 30)
    assert len(index) == 30
    index, _ = per_class(lambda members, k: taylor_greedy(g[members], validation, k, 0.01), labels, 30)
    assert len(index) == 30
    for solver in (
        facility_location,
        lambda atoms, k: matching_pursuit(atoms, atoms.sum(0), k),
        lambda atoms, k: taylor_greedy(atoms, validation, k, 0.01),
    ):
        index, weight = per_batch(solver, g, order, 8, 30)
        assert 4 * 8 - 5 <= len(index) <= 4 * 8
        assert len(index) == len(weight) == len(set(index.tolist()))
