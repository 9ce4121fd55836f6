"""How tensors lie in memory."""

from torch import Tensor

_ALIGNMENT = 64  # bytes, of all memory that torch takes on a host


def take(value: Tensor, axis: int, index: Tensor) -> Tensor:
    """Select entries `index` [B] along an axis, keeping the order of all axes in memory.

    `index_select` alone lays its result out as its axes come, which turns channels-last images
    around byte by byte: twenty times slower, and they would have to be turned back.
    """
    if value.dim() < 4 and value.is_contiguous():
        return value.index_select(axis, index)  # no images: most of what there is, in no time
    order = sorted(range(value.dim()), key=value.stride, reverse=True)
    taken = value.permute(order).index_select(order.index(axis), index)
    return taken.permute([order.index(place) for place in range(value.dim())])


def settled(value: Tensor) -> Tensor:
    """Return a tensor that lies where torch would have put it; a copy, if it lies elsewhere.

    Files and pipes hold tensors at any address. Products of matrices that begin beside a multiple
    of 64 bytes are summed in another order, and so rounded otherwise: what goes on with such
    tensors does not go on exactly.
    """
    return value.clone() if value.data_ptr() % _ALIGNMENT else value
