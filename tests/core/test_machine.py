"""Cores and memory of a process, as a scheduler and other systems have them."""

import os
import resource
import sys
from types import SimpleNamespace

import pytest

from leanat import cli
from leanat.bench import command
from leanat.core import machine


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins no process to cores")
def test_a_job_of_few_cores_uses_no_more(monkeypatch):
    """Inside an allocation of a cluster the machine's other cores are those of other jobs."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    parser = cli.parser()
    assert parser.parse_args(["time", "qtart"]).threads == 3
    assert parser.parse_args(["decide"]).cores == 3
    assert command.processes(SimpleNamespace(jobs=None, gpus=0, jobs_per_gpu=1)) == 3


@pytest.mark.parametrize(("system", "given"), [("linux", 3 * 1024), ("darwin", 3 * 2**20)])
def test_memory_is_in_the_unit_of_the_system(monkeypatch, system, given):
    """Linux counts kilobytes, macOS bytes."""
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=given))
    assert machine.peak_bytes() == 3 * 2**20
