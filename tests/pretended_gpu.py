"""A GPU without a GPU: Python sees ``cuda:0``, the CPU computes, and CUDA's rules of placement are kept.

    with pretended() as gpu:
        ...  # torch.cuda.is_available() is True
    gpu.waits  # Counter: (what, "file:line") -> how often the host waited for the device

A tensor "on the device" is a wrapper round one of the CPU. Every operator passes through ``Watch``, which refuses operands on
two devices as CUDA does, counts what makes the host wait, computes on the wrapped tensors and wraps the result. So bits are the
CPU's. Blind to a real GPU's kernels and rounding, to memory, streams and a second GPU. C++ takes the wrappers for tensors of
the CPU, which is why a few functions that ask there for a device are replaced meanwhile.
"""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
import torch._dynamo  # looks at signatures of what is replaced below
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten, Tag = torch.ops.aten, torch.Tag
GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
READS = {Tag.data_dependent_output, Tag.dynamic_output_shape}  # a value or a shape that only the device knows
INDEXED = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}
MEMORY = 2**40  # of all numbers of one tensor
COPIES = {aten._to_copy.default, aten.copy_.default, aten.copy.default}


class TwoDevices(RuntimeError):
    """What CUDA refuses."""


class OnGPU(torch.Tensor):
    """A tensor of the pretended device; ``held`` is the CPU's."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    @staticmethod
    def __new__(cls, held, requires_grad=False):
        about = {name: getattr(held, name) for name in ("dtype", "layout")}
        place = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        made = cls._make_wrapper_subclass(cls, held.shape, device=CPU, requires_grad=requires_grad, **about, **place)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        return _watch().run(op, args, kwargs or {})

    def get_device(self):
        return 0

    def to(self, *args, **kwargs):
        device, dtype, non_blocking, memory_format = _parsed(*args, **kwargs)
        given = {"dtype": dtype, "memory_format": memory_format}
        given = {k: v for k, v in given.items() if v is not None}
        if device is not None and device.type == "cpu":
            return _watch().download(self, given | {"non_blocking": non_blocking})
        return torch.Tensor.to(self, copy=kwargs.get("copy", False), **given) if given else self

    def cpu(self, memory_format=torch.preserve_format):
        return _watch().download(self, {"memory_format": memory_format})

    def cuda(self, *args, **kwargs):
        return self

    def tolist(self):
        _watch().note("tolist")
        return bare(self.detach()).tolist()

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *args, **kwargs):
        return self.numpy()

    def new_tensor(self, data, dtype=None, device=None, requires_grad=False):
        return torch.tensor(data, dtype=dtype or self.dtype, device=GPU, requires_grad=requires_grad)

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, value):
        torch._C.TensorBase.data.__set__(self, value)
        self.held = value.held

    def __deepcopy__(self, memo):
        made = memo[id(self)] = OnGPU(self.held.detach().clone(), self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            made._is_param = True
        return made

    def __repr__(self):
        return f"OnGPU({self.held!r})"


class Watch(TorchDispatchMode):
    """Sees every operator; ``waits`` counts what makes the host wait for the device, by kind and line of the package."""

    def __init__(self):
        super().__init__()
        self.waits, self.downloading = Counter(), False

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # or each operator goes through a wrapper that costs more than the operator

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if sys._getframe(1).f_code.co_name == "_engine_run_backward" and not _tensors((args, kwargs)):
            kwargs = kwargs | {"device": GPU}  # zeros for a gradient that is not there, made by C++
        return self.run(op, args, kwargs)

    def note(self, what):
        frame, lines = sys._getframe(1), []
        while frame is not None and len(lines) < 2:
            _, inside, name = frame.f_code.co_filename.rpartition("/src/leanat/")
            if inside:
                lines.append(f"{name}:{frame.f_lineno}")
            frame = frame.f_back
        self.waits[what, " < ".join(lines)] += 1

    def download(self, x, options):
        self.downloading = True
        try:
            return aten._to_copy(x, device=CPU, **options)
        finally:
            self.downloading = False

    def run(self, op, args, kwargs):
        tensors = _tensors((args, kwargs))
        asked = kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda"
        here = any(isinstance(t, OnGPU) for t in tensors)
        if here:
            self.check(op, args, tensors)
        if op in COPIES:
            down = here and (self.downloading if op is aten._to_copy.default else not isinstance(args[0], OnGPU))
            up = not isinstance(args[op is not aten._to_copy.default], OnGPU) and (asked or here)
            if (down or up) and not kwargs.get("non_blocking"):
                self.note("to the host" if down else "from the host")
            here = here and not down
        if asked and op is aten.empty.memory_format and torch.Size(args[0]).numel() > MEMORY:
            raise torch.OutOfMemoryError("pretended: out of memory")
        inner_args, inner = tree_map(bare, args), tree_map(bare, kwargs)
        if asked:
            inner["device"] = CPU
        if inner.get("pin_memory"):
            inner["pin_memory"] = False
        found = op(*inner_args, **inner)
        if not (here or asked):
            return args[0] if op is aten.copy_.default else found
        given = {id(bare(t)): t for t in tensors}  # in place and out= give back what they were given
        return tree_map(lambda t: given.get(id(t)) if id(t) in given else wrapped(t), found)

    def check(self, op, args, tensors):
        name, host = op._schema.name, [t for t in tensors if not isinstance(t, OnGPU)]
        if name in INDEXED:
            masks = [t for t in args[1] if t is not None and t.dtype in (torch.bool, torch.uint8)]
            fills = len(args) > 2 and len(masks) == 1 and not isinstance(args[2], OnGPU) and args[2].numel() == 1
            if masks and not fills:
                self.note("boolean index")
            if any(t is not None and not isinstance(t, OnGPU) for t in args[1]):
                self.note("from the host")
            host = [args[0]] if not isinstance(args[0], OnGPU) else [t for t in args[2:3] if not isinstance(t, OnGPU)]
        elif READS & set(op.tags):
            self.note(op._schema.name.removeprefix("aten::"))
        if op in COPIES:
            return
        plain = Tag.pointwise in op.tags or name in INDEXED
        onto = op._schema.is_mutable and isinstance(args[0], torch.Tensor) and not isinstance(args[0], OnGPU)
        if onto or any(t.dim() or not plain for t in host):
            raise TwoDevices(f"{op}: {[(str(t.device), tuple(t.shape)) for t in tensors]}")


_now = []


def _watch():
    return _now[-1]


def _tensors(tree):
    return [t for t in tree_leaves(tree) if isinstance(t, torch.Tensor)]


def bare(t):
    return t.held if isinstance(t, OnGPU) else t


def wrapped(t):
    return OnGPU(t) if isinstance(t, torch.Tensor) and not isinstance(t, OnGPU) else t


_parse_to, _one_hot, _save, _load = torch._C._nn._parse_to, torch.nn.functional.one_hot, torch.save, torch.load


def _parsed(*args, **kwargs):
    kwargs = {k: v for k, v in kwargs.items() if k != "copy"}
    if args and isinstance(args[0], torch.Tensor):
        return args[0].device, args[0].dtype, False, None
    return _parse_to(*args, **kwargs)


def _one_hot_here(x, num_classes=-1):
    return wrapped(_one_hot(bare(x.detach()), num_classes)) if isinstance(x, OnGPU) else _one_hot(x, num_classes)


def _each(change, value):
    """``change`` of every tensor in nested state."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return type(value)((k, _each(change, v)) for k, v in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_each(change, v) for v in value))
    return type(value)(_each(change, v) for v in value) if isinstance(value, (list, tuple)) else value


def _save_bare(value, file, **options):
    _save(_each(lambda t: bare(t.detach()), value), file, **options)


def _load_onto(file, map_location=None, **options):
    onto = map_location is not None and torch.device(map_location).type == "cuda"
    found = _load(file, map_location="cpu" if onto else map_location, **options)
    return _each(lambda t: t.to(GPU), found) if onto else found


def _pinned(tensor, device=None):
    assert not isinstance(tensor, OnGPU), "only tensors of the CPU are pinned"
    return tensor


class _Autocast(torch.autocast):
    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


def _replaced(gpus):
    states = [torch.zeros(16, dtype=torch.uint8, device=CPU) for _ in range(gpus)]

    def number(device):
        return device if isinstance(device, int) else torch.device(device).index or 0

    def seed(value, those=(0,)):
        for k in those:
            states[k] = torch.full((16,), value % 251, dtype=torch.uint8, device=CPU)

    def seed_all(value):
        seed(value, range(gpus))

    def put(new, device="cuda"):
        assert (type(new), new.dtype) == (torch.Tensor, torch.uint8), "a ByteTensor of the CPU"
        states[number(device)] = new.clone()

    def get(device="cuda"):
        return states[number(device)].clone()

    cuda = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "device_count": lambda: gpus,
        "current_device": lambda: 0,
        "_exchange_device": lambda device: 0,
        "_maybe_exchange_device": lambda device: 0,
        "set_device": lambda device: None,
        "synchronize": lambda device=None: None,
        "empty_cache": lambda: None,
        "get_device_name": lambda device=None: "pretended GPU",
        "get_device_capability": lambda device=None: (9, 0),
        "is_bf16_supported": lambda including_emulation=True: True,
        "reset_peak_memory_stats": lambda device=None: None,
        "max_memory_allocated": lambda device=None: 2**20,
        "memory_allocated": lambda device=None: 2**19,
        **dict.fromkeys(("manual_seed", "random.manual_seed"), seed),
        **dict.fromkeys(("manual_seed_all", "random.manual_seed_all"), seed_all),
        **dict.fromkeys(("get_rng_state", "random.get_rng_state"), get),
        **dict.fromkeys(("set_rng_state", "random.set_rng_state"), put),
    }
    return {f"torch.cuda.{name}": new for name, new in cuda.items()} | {
        "torch.Tensor.pin_memory": _pinned,
        "torch.nn.functional.one_hot": _one_hot_here,
        "torch._C._nn._parse_to": _parsed,
        "torch.autocast": _Autocast,
        "torch.amp.autocast": _Autocast,
        "torch._has_compatible_shallow_copy_type": lambda a, b: isinstance(a, OnGPU) == isinstance(b, OnGPU),
        "torch.save": _save_bare,
        "torch.load": _load_onto,
    }


@contextmanager
def pretended(gpus=1):
    """Inside, this machine has so many GPUs, of which the first computes; yields the Watch."""
    torch._C._ensureCUDADeviceGuardSet()
    with ExitStack() as stack:
        for name, new in _replaced(gpus).items():
            stack.enter_context(mock.patch(name, new))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.callback(torch._C._set_only_lift_cpu_tensors, torch._C._only_lift_cpu_tensors())
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") leaves the copy to the mode
        _now.append(Watch())
        stack.callback(_now.pop)
        yield stack.enter_context(_now[-1])
