"""The table of a modular network, by hand-counted numbers."""

from rich.console import Console

from colonnade.networks import (
    ModularNetwork,
    active_share,
    atari_modules,
    describe_modular,
    format_modular,
)


def test_the_atari_network_by_hand():
    network = ModularNetwork(atari_modules(), {"observation": (4, 84, 84)})
    network.add_head(7)
    network.freeze(((0, 1), (2,), (3,), (4, 5, 6)))
    rows = describe_modular(network)
    per_module = [4 * 8 * 64 + 8, 8 * 8 * 16 + 8, 8 * 8 * 9 + 8, 8 * 7 * 7 * 50 + 50, 50 * 7 + 7]
    assert [row.per_module for row in rows] == per_module
    assert [row.out_shape for row in rows] == [(8, 20, 20), (8, 9, 9), (8, 7, 7), (50,), (7,)]
    assert [row.frozen for row in rows] == [2, 1, 1, 3, 0]
    total = sum(p.numel() for p in network.parameters())
    assert sum(row.parameters for row in rows) == total == 10 * sum(per_module[:4]) + 357
    assert active_share(rows) == (4 * sum(per_module[:4]) + 357) / total
    console = Console(width=120, record=True)
    console.print(format_modular(rows, "Atari"))
    text = console.export_text()
    assert "conv 8 8x8 s4" in text
    assert f"{total:,}" in text
    assert "40%" in text
