import os

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def shared_plans(tmp_path, tmp_path_factory):
    """The plans of processes started in ``tmp_path`` lie in a folder that tests share: to resolve one anew takes seconds."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "plans"  # of this session's workers
    shared.mkdir(exist_ok=True)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / ".plans").symlink_to(shared)
