"""What estimating a Fisher adds to a process's memory, against `max_bytes`."""

import subprocess
import sys

import pytest

SCRIPT = """
import torch
from torch import nn
from colonnade.ops import parameter_fisher

def high_water():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

torch.set_num_threads(1)
{module}
parameter_fisher(model, [x[:1]], max_bytes=2**20)  # what the first use loads
before = high_water()
parameter_fisher(model, [x], max_bytes=2**24, **{options})
print(high_water() - before)
"""

CLASSES = "model, x = nn.Sequential(nn.Linear(32, 500)), torch.randn(256, 32)"
ATTENTION = """
class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        hidden = self.embed(x)
        weights = (hidden @ hidden.transpose(1, 2)).softmax(-1)
        return self.head((weights @ hidden).mean(1))

model, x = Mixing(), torch.randn(64, 256, 8)
"""
MAPS = "model = nn.Conv2d(3, 40, 1); x = torch.randn(32, 3, 8, 8)"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("module", "options"),
    [
        (CLASSES, {}),
        pytest.param(ATTENTION, {}, marks=pytest.mark.slow),
        pytest.param(MAPS, {"kind": "sampled"}, marks=pytest.mark.slow),
    ],
    ids=["500 classes", "attention", "maps"],
)
def test_memory_is_held(module, options):
    """Of 16 MiB: an allocator keeps some besides; without bounds the first grows by 560 MiB."""
    script = SCRIPT.format(module=module, options=options)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 32 * 2**20
