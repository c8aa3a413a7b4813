"""Avoids importing torch's compiler, which takes two seconds of a core in every process, unless somebody compiles."""

from __future__ import annotations

import inspect
import sys
from contextlib import AbstractContextManager, nullcontext

import torch
from torch.optim import Optimizer


def eager() -> AbstractContextManager[None]:
    """Inside, what ``torch.compile`` has made runs as it was written, with the hooks that it has now."""
    return torch.compiler.set_stance("force_eager") if sys.modules.get("torch._dynamo") else nullcontext()


class SGD(torch.optim.SGD):
    """torch's own methods, without the wrappers that import the compiler to tell it not to look inside."""

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
