"""GPUs handed out on one machine, seen from the environment that jobs get: no GPU is needed."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest
import torch
from pretended_gpu import pretended

from leanat.core.errors import ConfigError
from leanat.runs import devices, experiment

CODE = """
import os, sys
from leanat.runs import devices
with devices.claimed("auto", int(sys.argv[1]), int(sys.argv[2])):
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def job(tmp_path):
    """Starts a job, and returns it with the GPUs that it sees; ``ends`` lets it end."""
    started = []
    plain = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK")}

    def start(jobs_per_gpu=1, processes=1, gpus=2, wait=True, **more):
        env = plain | {"TMPDIR": str(tmp_path), "LEANAT_GPUS": str(gpus)} | more
        words = [sys.executable, "-c", CODE, str(jobs_per_gpu), str(processes)]
        process = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return (process, process.stdout.readline().strip()) if wait else process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_each_job_sees_a_gpu_of_its_own_and_the_third_waits(job):
    first, one = job()
    _, two = job()
    assert {one, two} == {"0", "1"}
    third = job(wait=False)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(0.7)
    first.kill()  # SIGKILL: the lock goes with the process
    assert third.stdout.readline().strip() == one


def test_who_waits_says_for_what_once(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("SLURM_JOB_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level("INFO", "leanat")
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(devices.time, "sleep", sleep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    with devices.claimed("auto", processes=2):
        assert not caplog.messages
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
        with pytest.raises(KeyboardInterrupt), devices.claimed("auto", processes=2):
            pass
    where = tmp_path / f"leanat-gpus-{os.getuid()}"
    assert caplog.messages == [f"waiting for 2 free GPUs (taken: 0, 1; locks in {where}; --jobs-per-gpu shares)"]


@pytest.mark.parametrize(("shown", "processes"), [("0,0,0", 2), ("0,0", 2), ("1,0,1", 1)])
def test_a_gpu_that_is_named_twice_is_refused(monkeypatch, shown, processes):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    allowed = f"CUDA_VISIBLE_DEVICES: '{shown}' is not allowed; each GPU once"
    with pytest.raises(ConfigError, match=allowed), devices.claimed("auto", processes=processes):
        pass


def test_small_jobs_share_a_gpu_and_spread_first(job):
    seen = [job(jobs_per_gpu=2)[1] for _ in range(4)]
    assert seen == ["0", "1", "0", "1"]


def test_a_training_on_two_gpus_waits_for_both(job):
    first, _ = job()
    both = job(processes=2, wait=False)
    with pytest.raises(subprocess.TimeoutExpired):
        both.wait(0.7)
    first.kill()
    assert both.stdout.readline().strip() == "0,1"


@pytest.mark.parametrize("variable", [{"CUDA_VISIBLE_DEVICES": "5"}, {"LOCAL_RANK": "0"}])
def test_what_is_assigned_stays(job, variable):
    assert job(gpus=8, **variable)[1] == variable.get("CUDA_VISIBLE_DEVICES", "None")


def test_of_visible_gpus_each_job_gets_one(job):
    """Eight are in the kernel's list, two are this user's."""
    seen = {job(gpus=8, CUDA_VISIBLE_DEVICES="2,3")[1] for _ in range(2)}
    assert seen == {"2", "3"}
    third = job(gpus=8, CUDA_VISIBLE_DEVICES="2,3", wait=False)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(0.7)


def test_an_allocation_of_several_gpus_is_shared_out(job):
    """Each of two allocations numbers its GPUs from 0: their jobs do not wait for each other."""
    seen = [job(CUDA_VISIBLE_DEVICES="0,1", SLURM_JOB_ID=number)[1] for number in ("7", "7", "8", "8")]
    assert seen == ["0", "1", "0", "1"]


def test_gpus_that_the_scheduler_does_not_manage_are_shared_out(job):
    """It says nothing of them, and each of two allocations has the machine's."""
    seen = {job(SLURM_JOB_ID=number)[1] for number in ("7", "8")}
    assert seen == {"0", "1"}
    third = job(SLURM_JOB_ID="7", wait=False)
    with pytest.raises(subprocess.TimeoutExpired):
        third.wait(0.7)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        ("2,3", ["2", "3"]),
        ("", []),
        ("-1", []),
        ("GPU-8f2c, MIG-1", ["GPU-8f2c", "MIG-1"]),
        ("1,-1,0", ["1"]),
        ("0,1,9", ["0", "1"]),
        ("9,0", []),
        ("0,-2,1", ["0"]),
        ("NoDevFiles", []),
        ("none", []),
        ("00, 1", ["0", "1"]),
        ("7,8", ["7"]),
        ("0,\u0661", ["0"]),
    ],
)
def test_what_is_visible(monkeypatch, shown, found):
    """As CUDA's guide has it: up to the first that is no GPU."""
    monkeypatch.setenv("LEANAT_GPUS", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert devices.visible() == found


def test_a_driver_that_lists_no_gpus_leaves_the_numbers_to_cuda(monkeypatch, tmp_path):
    monkeypatch.delenv("LEANAT_GPUS", raising=False)
    monkeypatch.setattr(devices, "DRIVER", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert devices.visible() == ["4", "5"]


def test_a_job_without_gpus_runs_on_the_cpu(monkeypatch):
    """As SLURM has it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("LEANAT_GPUS", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "NoDevFiles")
    with devices.claimed("auto"):
        assert experiment.device_of("auto").type == "cpu"


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Two GPUs as a driver lists them, 1 before 0 on the bus; returns what hides those of some numbers, as a cgroup does."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK", "LEANAT_GPUS"):
        monkeypatch.delenv(name, raising=False)
    for bus, number in (("0000:81:00.0", 1), ("0000:c1:00.0", 0)):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        about = f"Model: \t H100\nGPU UUID: \t GPU-{number}{number}-0000\nDevice Minor: \t {number}\n"
        (tmp_path / "gpus" / bus / "information").write_text(about)
        (tmp_path / f"nvidia{number}").touch()
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "gpus")
    monkeypatch.setattr(devices, "FILES", tmp_path)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def hide(*numbers):
        monkeypatch.setattr(devices.os, "access", lambda file, mode: int(file.name[-1]) not in numbers)

    return hide


def test_an_allocation_without_a_gpu_runs_on_the_cpu(gpus, monkeypatch):
    """Its machine has some, and the driver lists them."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    gpus(0, 1)
    with devices.claimed("auto"):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
        assert experiment.device_of("auto").type == "cpu"
    assert devices.usable("auto") == 0


def test_gpus_are_numbered_without_those_that_are_hidden(gpus, monkeypatch):
    assert devices.visible() == ["0", "1"]
    gpus(1)
    assert devices.visible() == ["0"]
    with pytest.raises(ConfigError, match="cannot use"):
        experiment.device_of("auto")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-00")
    with pytest.raises(ConfigError, match="each GPU once"):
        devices.visible()


def test_a_gpu_that_was_never_used_counts(gpus, tmp_path):
    """Its file is made at its first use."""
    (tmp_path / "nvidia1").unlink()
    gpus(1)
    assert devices.visible() == ["0", "1"]


def test_a_gpu_has_one_lock_whatever_it_is_called(monkeypatch, tmp_path):
    for name in ("SLURM_JOB_ID", "LOCAL_RANK", "LEANAT_GPUS"):
        monkeypatch.delenv(name, raising=False)
    for bus, identifier in (("0000:c1:00.0", "GPU-11112222-0000"), ("0000:81:00.0", "GPU-11113333-0000")):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text(f"Model: \t H100\nGPU UUID: \t {identifier}\n")
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "gpus")
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    seen = []
    with ExitStack() as jobs:
        for shown in ("0,1", "GPU-11113333-0000,GPU-11112222"):
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
            jobs.enter_context(devices.claimed("auto"))
            seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["0", "GPU-11112222"], "the first on the bus is number 0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-11113333")
    with pytest.raises(ConfigError, match="each GPU once"):
        devices.visible()


def test_parts_of_a_gpu_are_shared_out(job):
    """By the older names of MIG, too, which have slashes."""
    parts = [f"MIG-GPU-8f2c0000/{k}/0" for k in (1, 2)]
    assert {job(CUDA_VISIBLE_DEVICES=",".join(parts))[1] for _ in parts} == set(parts)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:17"])
def test_a_gpu_beyond_the_last_is_one_line(name):
    with pretended(gpus=2):
        assert experiment.device_of("cuda:1") == torch.device("cuda", 1)
        with pytest.raises(
            ConfigError, match=f"^device: '{name}' is asked for; allowed here: auto, cpu, cuda, cuda:0 to cuda:1$"
        ):
            experiment.device_of(name)


def test_a_gpu_that_torch_cannot_use_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("LEANAT_GPUS", "1")
    with pytest.raises(ConfigError, match=r"cannot use.*device=cpu"):
        experiment.device_of("auto")
    assert experiment.device_of("cpu").type == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert experiment.device_of("auto").type == "cpu"


def test_a_gpu_that_the_driver_does_not_list_is_said(monkeypatch, tmp_path, caplog):
    """As under WSL2: nothing counts it, so nothing keeps jobs from sharing it."""
    for name in ("CUDA_VISIBLE_DEVICES", "LEANAT_GPUS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "DRIVER", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert experiment.device_of("auto").type == "cuda"
    assert "LEANAT_GPUS" in caplog.text
    caplog.clear()
    monkeypatch.setenv("LEANAT_GPUS", "1")
    experiment.device_of("auto")
    assert not caplog.text


def test_a_machine_without_gpus_hands_out_none(job):
    assert job(gpus=0)[1] == "None"


def test_impossible_numbers_are_said(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEANAT_GPUS", "1")
    with (
        pytest.raises(ConfigError, match="2 GPUs are asked for, and this machine has 1"),
        devices.claimed("auto", 1, 2),
    ):
        pass
    monkeypatch.setenv("LEANAT_GPUS", "many")
    with pytest.raises(ConfigError, match="LEANAT_GPUS: 'many' is not allowed"), devices.claimed("auto"):
        pass
    with devices.claimed("cpu"), devices.claimed("cuda:1"):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
