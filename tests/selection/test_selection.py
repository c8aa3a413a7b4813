from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from toys import Small, make_run, split, toy

from leanat.core.loop import train, train_epoch
from leanat.core.nouns import Subset
from leanat.core.per_example_loss import per_example_loss
from leanat.selection.basic import Every, Everything, LossRank, Once, Random, all_but_top, unweighted


class Counting:
    """Selects a different example each time it is asked, and remembers when."""

    def __init__(self):
        self.epochs = []

    def __call__(self, run, split):
        self.epochs.append(run.epoch)
        return unweighted(torch.tensor([len(self.epochs), 0]))


def chosen(selector, epochs, seed=0):
    run, picks = make_run(Small(), selector, epochs=epochs, seed=seed), []
    train(run, split(toy()), lambda run: picks.append(run.subset.index.tolist()))
    return picks


def test_everything():
    subset = Everything()(make_run(Small()), split(toy()))
    assert subset.index.tolist() == list(range(24))
    assert subset.weight.tolist() == [1.0] * 24


def test_once_asks_once_and_keeps_the_answer():
    inner = Counting()
    picks = chosen(Once(2, inner), 5)
    assert inner.epochs == [2]
    assert [len(p) for p in picks[:2]] == [24, 24]
    assert picks[2:] == [[1, 0]] * 3


def test_every_asks_each_period():
    inner = Counting()
    picks = chosen(Every(2, 1, inner), 6)
    assert inner.epochs == [1, 3, 5]
    assert len(picks[0]) == 24
    assert picks[1:] == [[1, 0], [1, 0], [2, 0], [2, 0], [3, 0]]


def test_every_with_a_random_subset_before_the_first_selection():
    inner = Counting()
    picks = chosen(Every(3, 3, inner, before=Once(0, Random(0.25))), 5)
    assert inner.epochs == [3]
    assert len(picks[0]) == 6
    assert picks[0] == picks[1] == picks[2] != picks[3]


def test_random_sizes_and_seeds():
    run, parts = make_run(Small()), split(toy(23))
    for selector, size in ((Random(0.3), 7), (Random(1.0), 23), (Random(count=5), 18), (Random(count=0), 23)):
        index = selector(run, parts).index
        assert len(index) == size
        assert index.tolist() == sorted(set(index.tolist()))
    again, other = make_run(Small()), make_run(Small(), seed=1)
    assert Random(0.5)(run, parts).index.equal(Random(0.5)(again, parts).index)
    assert not Random(0.5)(run, parts).index.equal(Random(0.5)(other, parts).index)
    run.epoch = 1
    assert not Random(0.5)(run, parts).index.equal(Random(0.5)(again, parts).index)


def test_random_leaves_out_every_example_equally_often():
    parts, left = split(toy(12)), torch.zeros(12)
    for seed in range(600):
        left += 1
        left[Random(count=3)(make_run(Small(), seed=seed), parts).index] -= 1
    assert left.sum() == 1800
    assert (left - 150).abs().max() < 5 * (600 * 0.25 * 0.75) ** 0.5


def test_loss_rank_leaves_out_the_highest_losses():
    data = toy()
    run = make_run(Small(), epochs=3)
    train(run, split(data))
    x, y = data.plain().batch(torch.arange(24), 0)
    run.net.eval()
    losses = F.cross_entropy(run.net(x), y, reduction="none")
    run.net.train()
    kept = LossRank(6)(run, split(data)).index
    assert sorted(losses.argsort()[:18].tolist()) == kept.tolist()
    assert run.net.training
    assert torch.allclose(per_example_loss(run, data)[0], losses, atol=1e-6)
    assert torch.allclose(
        per_example_loss(run, data, 0.4)[0], F.cross_entropy(0.4 * run.net.eval()(x), y, reduction="none")
    )
    assert per_example_loss(run, data)[1].tolist() == (run.net(x).argmax(1) == y).tolist()


def test_a_streamed_set_is_told_what_will_be_looked_at():
    """Its files are decoded while the network works; without a word, each batch would be waited for."""
    data, told = toy(), []

    @dataclass(frozen=True)
    class Streamed(type(data)):
        def prefetch(self, index, epoch, view=0):
            told.append((index.tolist(), epoch, self.augmented))

    per_example_loss(make_run(Small()), Streamed(**vars(data)))
    assert told == [(list(range(24)), 0, False)]


def test_equal_scores_go_by_number():
    assert all_but_top(torch.tensor([1.0, 3, 3, 3, 0]), 2).tolist() == [0, 3, 4]
    assert all_but_top(torch.zeros(4), 0).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="not a number"):
        all_but_top(torch.tensor([0.0, float("nan")]), 1)
    with pytest.raises(ValueError, match="at least one"):
        all_but_top(torch.zeros(4), 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Once(-1, Everything()),
        lambda: Every(0, 0, Everything()),
        lambda: Every(1, -1, Everything()),
        lambda: Random(),
        lambda: Random(0.5, 3),
        lambda: Random(0.0),
        lambda: Random(count=-1),
        lambda: LossRank(-1),
    ],
)
def test_impossible_values(make):
    with pytest.raises(ValueError, match=r"allowed|one of the two"):
        make()


def test_a_subset_is_all_that_is_trained_on():
    seen = []

    def watch(net, step):
        seen.append(step.index)
        return step.x

    run = make_run(Small(), lambda run, split: Subset(torch.tensor([3, 5, 7]), torch.ones(3)), attack=watch, batch=2)
    row = train_epoch(run, split(toy()))
    assert sorted(torch.cat(seen).tolist()) == [3, 5, 7]
    assert row["kept"] == 3
