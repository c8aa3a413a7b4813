"""A process that trains, selects and attacks does without torch's compiler, and has the bits that it has with it."""

import subprocess
import sys
from dataclasses import replace

import torch
from toys import Small, make_run, split, toy

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.compiler import eager
from leanat.core.loop import train
from leanat.evaluation.evaluate import evaluate
from leanat.runs import checkpoint
from leanat.selection.basic import Every
from leanat.selection.craig import Craig

ATTACK = PGD(Linf(0.1), 2, 0.06, "uniform")


def work(folder):
    """A training with selections that is left and resumed, and its evaluation: all weights, momenta and losses."""
    selector = Every(1, 0, Craig(0.5, "example"))
    for epochs in (1, 2):
        run = make_run(Small(), selector, epochs=2)
        run.method = replace(run.method, attack=ATTACK)
        checkpoint.load(folder / "resume.pt", run, "")
        train(
            run,
            split(toy()),
            lambda run, epochs=epochs: checkpoint.save(folder / "resume.pt", run, "") or run.epoch == epochs,
        )
    loss = torch.from_numpy(evaluate(run.net, toy(), ATTACK, seed=0).loss)
    momenta = [state["momentum_buffer"].flatten() for state in run.opt.state_dict()["state"].values()]
    return torch.cat([*(p.detach().flatten() for p in run.net.parameters()), *momenta, loss])


CODE = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {here!r}]
import torch
import test_compiler
torch.set_num_threads(1)
sys.modules["torch._dynamo"] = None  # whoever imports it gets an error
torch.save(test_compiler.work(Path({folder!r})), {folder!r} + "/found.pt")
"""


def test_nothing_imports_the_compiler_and_no_bit_differs(tmp_path, monkeypatch):
    here = __file__.rpartition("/")[0]
    (tmp_path / "without").mkdir()
    code = CODE.format(tests=here.rpartition("/")[0], here=here, folder=str(tmp_path / "without"))
    subprocess.run([sys.executable, "-c", code], check=True)
    monkeypatch.setattr("leanat.core.nouns.SGD", torch.optim.SGD)
    monkeypatch.setattr("leanat.selection.last_layer.eager", lambda: torch.compiler.set_stance("force_eager"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = work(tmp_path)
    torch.set_num_threads(threads)
    assert torch.equal(found, torch.load(tmp_path / "without" / "found.pt"))


def test_what_was_compiled_runs_as_it_was_written():
    import torch._dynamo

    seen, net = [], torch.nn.Linear(2, 2)
    compiled = torch.compile(net, backend="eager")
    compiled(torch.zeros(1, 2))
    with eager():
        assert torch._dynamo.eval_frame._stance.stance == "force_eager"
        hook = net.register_forward_hook(lambda *words: seen.append(1))
        compiled(torch.zeros(1, 2))
        hook.remove()
    assert seen
    assert torch._dynamo.eval_frame._stance.stance == "default"
