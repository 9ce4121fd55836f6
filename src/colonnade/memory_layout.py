"""How tensors lie in memory."""

from torch import Tensor


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
