"""Which large tensors a computation makes, for tests of its memory."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class LargeTensors(TorchDispatchMode):
    """Collect the places in memory of the tensors that operators return, by their size."""

    def __init__(self):
        super().__init__()
        self.places = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.places.setdefault(out.numel(), set()).add(out.data_ptr())
        return out

    @property
    def largest(self):
        return max(self.places)

    @property
    def count(self):
        """Return how many tensors of the largest size there were, at most."""
        return len(self.places[self.largest])
