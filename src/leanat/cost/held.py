"""The most memory that a piece of work needs at once, read from torch's allocator on a GPU and on a CPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # no messages of the profiler, such as that there is no GPU


def most_bytes(work: Callable[[], Any], device: torch.device) -> int:
    """The largest number of bytes of tensors on ``device`` at any moment of ``work``, minus those before it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    changes = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for change in sorted(changes, key=lambda e: e.start_ns()):
        now += change.nbytes()
        most = max(most, now)
    return most
