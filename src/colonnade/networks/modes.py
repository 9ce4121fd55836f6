"""Whether a network computes otherwise while it learns than while it acts."""

from __future__ import annotations

from torch import nn

from colonnade.networks.progressive.column import Column

_ALIKE = frozenset(
    f"torch.nn.modules.{name}"
    for name in (
        "activation",
        "container",
        "conv",
        "flatten",
        "fold",
        "linear",
        "normalization",
        "padding",
        "pixelshuffle",
        "pooling",
        "upsampling",
    )
)
"""Where PyTorch keeps modules in which training changes nothing but their weights."""

_OTHERWISE = nn.RReLU, nn.MultiheadAttention, nn.FractionalMaxPool2d, nn.FractionalMaxPool3d
"""The exceptions: they draw random numbers, or may."""


def mode_matters(network: nn.Module) -> bool:
    """Whether an unfrozen part may compute otherwise in training than in evaluation mode.

    That is so of every module in training mode but those of which it is known that they don't: our
    own, unless their column has dropout, and PyTorch's layers, containers and activations without
    dropout, noise or statistics. A user's own class counts as different, since what its code does
    can't be seen; so does a module with hooks or parametrizations.
    """
    return any(module.training and not _alike(module) for module in network.modules())


def _alike(module: nn.Module) -> bool:
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    if isinstance(module, nn.LSTM | nn.GRU | nn.RNN):
        return module.dropout == 0 or module.num_layers == 1
    if isinstance(module, Column):
        learns = any(stage.training for stage in module.stages)
        return not (learns and (module.spec.dropout or module.spec.input_dropout))
    if isinstance(module, _OTHERWISE):
        return False
    home = type(module).__module__
    return home in _ALIKE or home.startswith("colonnade.")
