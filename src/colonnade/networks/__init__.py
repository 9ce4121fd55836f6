"""Progressive networks as plain `torch.nn.Module`s."""

from colonnade.networks.describe import LayerRow, column_totals, describe, format_description
from colonnade.networks.presets import (
    COLUMN_PRESETS,
    atari_column,
    column_preset,
    mlp_column,
    pong_soup_column,
    sim_to_real_ff_narrow,
    sim_to_real_ff_wide,
    sim_to_real_network,
    sim_to_real_recurrent_narrow,
    sim_to_real_recurrent_wide,
    tiny_column,
)
from colonnade.networks.progressive import ColumnView, ProgressiveNetwork
from colonnade.networks.specs import LSTM, ColumnSpec, Conv, Custom, Dense, Join

__all__ = [
    "COLUMN_PRESETS",
    "LSTM",
    "ColumnSpec",
    "ColumnView",
    "Conv",
    "Custom",
    "Dense",
    "Join",
    "LayerRow",
    "ProgressiveNetwork",
    "atari_column",
    "column_preset",
    "column_totals",
    "describe",
    "format_description",
    "mlp_column",
    "pong_soup_column",
    "sim_to_real_ff_narrow",
    "sim_to_real_ff_wide",
    "sim_to_real_network",
    "sim_to_real_recurrent_narrow",
    "sim_to_real_recurrent_wide",
    "tiny_column",
]
