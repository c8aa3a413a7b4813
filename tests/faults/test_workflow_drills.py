"""Drills over a whole small workflow: kills at random moments, Ctrl-C, two of it at once, a clock that jumps."""

import itertools
import os
import random
import signal
import time

import psutil
import pytest
import tiny

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS = 30


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tiny.project(tmp_path_factory.mktemp("undisturbed") / "project")
    done = tiny.run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return tiny.left(folder)


def epochs(folder):
    """How often a history was written, so far."""
    return sum(len(path.read_text().splitlines()) for path in folder.glob("results/runs/*/history.csv"))


def trainings(process):
    """The jobs of a Snakemake."""
    try:
        return [c for c in psutil.Process(process.pid).children(recursive=True) if "train" in c.cmdline()]
    except psutil.NoSuchProcess:
        return []


def test_thirty_random_kills_change_no_bit(tmp_path, undisturbed):
    """SIGKILL for Snakemake and its jobs, for a job first, or for Snakemake alone, whose job then lives on."""
    chance, kills = random.Random(0), {"all": 0, "a job": 0, "snakemake": 0}
    for number in itertools.count():
        folder = tiny.project(tmp_path / str(number))
        while sum(kills.values()) < KILLS and kill_once(folder, chance, kills):
            pass
        done = tiny.run(folder, "--nolock")
        assert done.returncode == 0, done.stdout + done.stderr
        assert tiny.left(folder) == undisturbed
        assert not list(folder.glob("results/runs/*/.[0-9]*")), "nothing half-written stays"
        if sum(kills.values()) >= KILLS:
            break
    print(kills, "in", number + 1, "workflows")


def kill_once(folder, chance, kills):
    """Starts the workflow and kills it at a random moment, mostly one with a training in it; False if it ended first."""
    with open(folder / "said.txt", "a") as log:
        process, before = tiny.start(folder, log, "--nolock"), epochs(folder)
    end = time.monotonic() + (chance.uniform(0, 8) if chance.random() < 0.3 else 60)
    while process.poll() is None and time.monotonic() < end and epochs(folder) == before:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.3))
    if process.poll() is not None:
        assert process.returncode == 0, (folder / "said.txt").read_text()[-3000:]
        return False
    victim = chance.choices(list(kills), [8, 1, 1])[0]
    if victim == "snakemake":
        process.kill()
    else:
        if victim == "a job" and (jobs := trainings(process)):
            jobs[0].kill()
            time.sleep(chance.uniform(0, 2))  # Snakemake begins with another
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kills[victim] += 1
    return True


def test_ctrl_c_ends_all_of_it_and_the_same_command_goes_on(tmp_path, undisturbed):
    folder = tiny.project(tmp_path / "project")
    with open(tmp_path / "said.txt", "w") as log:
        process = tiny.start(folder, log)
        while process.poll() is None and epochs(folder) < 4:
            time.sleep(0.02)
        jobs = trainings(process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) != 0
    assert jobs
    _, alive = psutil.wait_procs(jobs, timeout=20)
    assert not alive
    assert "the same command goes on from there" in "".join(p.read_text() for p in folder.glob("logs/train/*.log"))
    done = tiny.run(folder)
    assert done.returncode == 0, "no lock is left behind: " + done.stdout + done.stderr
    assert tiny.left(folder) == undisturbed


def test_a_second_ctrl_c_ends_in_words(tmp_path):
    folder = tiny.project(tmp_path / "project")
    with open(tmp_path / "said.txt", "w") as log:
        process = tiny.start(folder, log)
        while process.poll() is None and epochs(folder) < 2:
            time.sleep(0.02)
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        assert process.wait(60) != 0
    said = (tmp_path / "said.txt").read_text()
    assert "Traceback" not in said
    assert "the same command goes on from there" in said


def test_of_two_workflows_at_once_one_does_the_work(tmp_path, undisturbed):
    folder = tiny.project(tmp_path / "project")
    with open(tmp_path / "said.txt", "w") as log:
        first = tiny.start(folder, log)
        while first.poll() is None and epochs(folder) < 2:
            time.sleep(0.02)
        second = tiny.run(folder)
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout + second.stderr
        assert first.wait(300) == 0
    assert tiny.left(folder) == undisturbed


def test_results_from_the_future_train_nothing_again(tmp_path, undisturbed):
    """A clock that was ahead while training: the files' dates lie after those of all that was made from them."""
    folder = tiny.project(tmp_path / "project")
    assert tiny.run(folder).returncode == 0
    future = time.time() + 86_400
    for path in folder.glob("results/runs/*/metrics.json"):
        os.utime(path, (future, future))
    done = tiny.run(folder, "--dry-run")
    assert done.returncode == 0
    assert "train_" not in done.stdout + done.stderr, "the table may be made again, no training is"


def test_another_setting_of_one_method_leaves_finished_runs_alone(tmp_path):
    """All runs in one shard: Snakemake removes what all of them are to leave before it starts the job again."""
    folder = tiny.project(tmp_path / "project")
    tiny.edit(folder / "src/leanat/experiments/scales.py", tiny.ONE, tiny.SIXTEEN)
    assert tiny.run(folder).returncode == 0
    runs = folder / "results" / "runs"

    def files():
        return {p.relative_to(runs): p.read_bytes() for p in runs.rglob("*") if p.is_file() and p.name != ".lock"}

    before, table = files(), tiny.left(folder)[1]
    tiny.edit(folder / "config/config.yaml", "change: {}", "change: {qtart: {random: {recipe.momentum: 0.8}}}")
    done = tiny.run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    after = files()
    assert {p: after[p] for p in before} == before
    assert len({p.parts[0] for p in after}) == len({p.parts[0] for p in before}) + 1
    assert tiny.left(folder)[1] != table
