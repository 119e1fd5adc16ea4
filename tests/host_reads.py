"""Whether a computation waits for values, for tests of what has to run ahead on a GPU."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique2', 'equal', 'is_nonzero')


class NoHostReads(TorchDispatchMode):
    """Refuse every operator whose result, or the shape of it, needs values on the CPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = name == 'index' and any(
            x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1]
        )
        assert not masks, 'indexing by a mask waits for its values'
        assert name not in WAITING, f'{name} waits for values'
        return func(*args, **(kwargs or {}))
