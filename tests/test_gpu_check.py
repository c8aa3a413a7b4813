"""The check of a GPU runs from end to end on a pretended one, so that it works on the day when there is one."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pretended_gpu import pretended

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import gpu_check

HELD = SimpleNamespace(returncode=0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_it_runs(tmp_path, capsys):
    out = tmp_path / "check.json"
    with pretended():
        assert gpu_check.main(["speed", "bits", "memory", "--tiny", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["device"] == "pretended GPU"
    speed = found["speed"]
    assert {"standard bf16", "PGD-2 fp32", "TRADES-2 bf16", "FGSM-RS bf16", "Free-8 bf16", "FAT-2 bf16"} <= speed.keys()
    assert all(row["images_per_second"] > 0 for name, row in speed.items() if name != "matrix_flops")
    assert all(row["repeated"] and row["resumed"] for row in found["bits"].values()), "the CPU's bits"
    assert found["memory"]["outcomes_alike"] == 1
    assert "the same bits" in capsys.readouterr().out


def test_without_a_gpu_it_says_so_in_a_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main(["--out", str(tmp_path / "x.json")]) == 1
    assert capsys.readouterr().out == "gpu-check: no GPU that torch can use here; nothing was checked\n"
    assert not list(tmp_path.iterdir())


def test_the_share_of_what_the_device_reaches():
    """A product of n x n matrices has 2 n^3 operations; so the rate is what was done over the time it took."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_check, "seconds", lambda work, device: work() and 2.0)
        assert gpu_check.matrix_rate(16, torch.device("cpu")) == 10 * 2 * 16**3 / 2.0


@pytest.mark.parametrize("failing", [None, "pytest", "benchmarks/attacks.py", "--deterministic"])
def test_a_part_that_failed_is_its_exit_status(tmp_path, capsys, monkeypatch, failing):
    def ran(command, **_):
        if "--deterministic" in command and failing != "--deterministic":
            Path(command[command.index("--out") + 1]).write_text('{"bits": {}}')
        return SimpleNamespace(returncode=int(failing in command))

    monkeypatch.setattr(gpu_check, "subprocess", SimpleNamespace(run=ran))
    monkeypatch.setattr(gpu_check, "FULL", gpu_check.TINY)
    out = tmp_path / "check.json"
    words = ["tests", "benchmarks", "bits", "--device", "cpu", "--out", str(out)]
    assert gpu_check.main(words) == int(failing is not None)
    assert ("gpu-check: failed: " in capsys.readouterr().out) == (failing is not None)
    assert out.is_file()


@pytest.mark.parametrize(("device", "listed", "seen"), [
    ("cuda:1", None, "1"), ("cuda:1", "4,6", "6"), ("cuda", "4,6", "4,6"), ("cuda", None, None),
])  # fmt: skip
def test_a_part_sees_the_gpu_that_is_asked_for(monkeypatch, device, listed, seen):
    given = []
    ran = SimpleNamespace(run=lambda command, env, **_: given.append((command, env)) or HELD)
    monkeypatch.setattr(gpu_check, "subprocess", ran)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    gpu_check.tests(torch.device(device))
    gpu_check.benchmarks(torch.device(device))
    assert [env.get("CUDA_VISIBLE_DEVICES") for _, env in given] == [seen] * 3
    assert not any(":" in word for command, _ in given for word in command), "that GPU is the first that it sees"


def test_the_tests_that_it_runs_are_there():
    assert all((Path(__file__).parent / name).is_file() for name in gpu_check.TESTS)
