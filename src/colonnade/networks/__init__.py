"""Progressive and modular networks as plain `torch.nn.Module`s."""

from colonnade.networks.factories import custom_factories, factories_named, load_weights
from colonnade.networks.modes import mode_matters
from colonnade.networks.pathnet.describe import (
    ModularRow,
    active_share,
    describe_modular,
    format_modular,
)
from colonnade.networks.pathnet.network import ModularNetwork
from colonnade.networks.pathnet.spec import (
    MODULAR_PRESETS,
    ModularSpec,
    Path,
    atari_modules,
    cifar_svhn_modules,
    labyrinth_modules,
    labyrinth_recurrent_modules,
    mini_modules,
    mnist_modules,
    modular_preset,
    vector_modules,
)
from colonnade.networks.pathnet.views import PathView, PopulationView
from colonnade.networks.progressive.alignment import Feature
from colonnade.networks.progressive.column import Column, Projection, Site
from colonnade.networks.progressive.describe import (
    LayerRow,
    column_totals,
    describe,
    format_description,
)
from colonnade.networks.progressive.network import ColumnView, ProgressiveNetwork
from colonnade.networks.progressive.presets import (
    COLUMN_PRESETS,
    atari_column,
    column_preset,
    default_column,
    grid_column,
    labyrinth_column,
    labyrinth_mini_column,
    labyrinth_recurrent_column,
    mlp_column,
    pong_soup_column,
    sim_to_real_column,
    sim_to_real_network,
    tiny_column,
)
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.stage import LSTM, Conv, Custom, Dense, Join

__all__ = [
    "COLUMN_PRESETS",
    "LSTM",
    "MODULAR_PRESETS",
    "Column",
    "ColumnSpec",
    "ColumnView",
    "Conv",
    "Custom",
    "Dense",
    "Feature",
    "Join",
    "LayerRow",
    "ModularNetwork",
    "ModularRow",
    "ModularSpec",
    "Path",
    "PathView",
    "PopulationView",
    "ProgressiveNetwork",
    "Projection",
    "Site",
    "active_share",
    "atari_column",
    "atari_modules",
    "cifar_svhn_modules",
    "column_preset",
    "column_totals",
    "custom_factories",
    "default_column",
    "describe",
    "describe_modular",
    "factories_named",
    "format_description",
    "format_modular",
    "grid_column",
    "labyrinth_column",
    "labyrinth_mini_column",
    "labyrinth_modules",
    "labyrinth_recurrent_column",
    "labyrinth_recurrent_modules",
    "load_weights",
    "mini_modules",
    "mlp_column",
    "mnist_modules",
    "mode_matters",
    "modular_preset",
    "pong_soup_column",
    "sim_to_real_column",
    "sim_to_real_network",
    "tiny_column",
    "vector_modules",
]
