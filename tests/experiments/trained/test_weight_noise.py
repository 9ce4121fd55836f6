"""Disturbing the weights of finished runs of which it is known what matters, up to the page."""

import re
from dataclasses import replace
from shutil import rmtree

import numpy as np
import pytest
import torch
from finished import POLE, balancing_network, images, poles, run_spec, write_suite
from reading import Balance, charts_of, without_scripts

from colonnade.cli.main import main
from colonnade.cli.weight_noise import weight_noise
from colonnade.errors import ColonnadeError
from colonnade.experiments.trained import weight_noise as module
from colonnade.experiments.trained.weight_noise import (
    WeightNoise,
    disturb_run,
    known_weight_noise,
)
from colonnade.experiments.trained.weight_noise_options import WeightNoiseOptions
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.reports.sensitivity.weight_noise import mean_kept, verdict

QUICK = WeightNoiseOptions(sizes=(3.0, 0.3), states=300, episodes=3)


def test_one_agent_from_the_command_to_the_page(tmp_path, monkeypatch):
    suite = poles(tmp_path / "out")
    folder = suite.runs[0]
    path = weight_noise(folder.path, None, QUICK, jobs=1)
    assert path == folder.path / "weight-noise.html"
    found = WeightNoise.load(folder.path)
    assert found.options.sizes == (0.3, 3.0)
    # What the useless six units read, and the value, of which actions know nothing: 6 x (4 + 1)
    # weights and biases, and 8 + 1. The Fisher of all others is far from zero.
    assert found.null_share == (30 + 9) / 67
    network = balancing_network(1)
    squares = torch.cat([p.detach().flatten().square() for p in network.parameters()])
    assert found.weight == pytest.approx(float(squares.mean().sqrt()))
    # The policy does not depend on them, so that its games are the same.
    for returns in found.returns["null-space"]:
        np.testing.assert_array_equal(returns, found.clean)
    uniform, inverse = found.kept("uniform"), found.kept("inverse-fisher")
    assert uniform[-1] < 0.3
    assert (inverse >= uniform).all()
    assert inverse[-1] < 1
    page = path.read_text()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert not re.search(r'(src|href)="(?!data:|#)', without_scripts(page)), (
        "nothing is loaded from elsewhere"
    )
    assert f"<td>{found.null_share:.0%}</td>" in page
    assert "".join(f"<td>{value:.2f}</td>" for value in uniform) in page
    (panel,) = charts_of(page)["weight-noise"]["panels"]
    assert panel["levels"][0]["at"] == pytest.approx(found.clean.mean(), rel=1e-5)
    for line in panel["lines"]:
        returns = found.returns[line["series"]]
        assert line["x"] == [0.3, 3.0]
        np.testing.assert_allclose(line["y"], returns.mean(1), rtol=1e-5)
        reach = 4.302652729911275 * returns.std(1, ddof=1) / 3**0.5
        np.testing.assert_allclose(line["high"], returns.mean(1) + reach, rtol=1e-4)
    monkeypatch.setattr(module, "disturb_run", None)  # not measured again
    again = weight_noise(folder.path, None, QUICK, jobs=1).read_text()
    assert again.partition("Written")[0] == page.partition("Written")[0]


def test_what_other_tasks_alone_compute_with_is_no_weight_of_the_agents():
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(3),), task_gains=True), {"observation": (4,)}, 3)
    network.add_row()
    network.add_row()
    view = network.view(0, 1)
    network.newest.freeze()
    module.unfreeze_played(view)
    inputs = {"observation": torch.randn(9, 4)}
    before = view(inputs)[0]
    held = {name for name, values in view.named_parameters() if not values.requires_grad}
    assert sum(values.numel() for n, values in view.named_parameters() if n in held) == 2 * 2 * (
        3 + 3
    )
    with torch.no_grad():
        for name, values in view.named_parameters():
            if name in held:
                values.add_(1.0)
    assert view(inputs)[0].equal(before)


def test_what_is_measured_hangs_on_the_seed_alone(tmp_path):
    suite = poles(tmp_path / "out")
    options = replace(QUICK, states=50, sizes=(1.0,))
    first, second = (disturb_run(suite, suite.runs[1], None, options, None) for _ in range(2))
    other = disturb_run(suite, suite.runs[1], None, replace(options, seed=1), None)
    for shape, returns in first.returns.items():
        np.testing.assert_array_equal(returns, second.returns[shape])
    assert any((other.returns[shape] != first.returns[shape]).any() for shape in first.returns)
    first.save(tmp_path)
    read = WeightNoise.load(tmp_path)
    assert replace(read, clean=0, returns=0) == replace(first, clean=0, returns=0)
    np.testing.assert_array_equal(read.returns["uniform"], first.returns["uniform"])
    (tmp_path / "weight_noise.json").write_text('{"format": 1, "options": {}}')
    with pytest.raises(ColonnadeError, match="is damaged"):
        WeightNoise.load(tmp_path)
    (tmp_path / "weight_noise.json").write_text('{"format": 0}')
    assert WeightNoise.load(tmp_path) is None


@pytest.mark.parametrize("fault", ["damaged", "another run's"])
def test_what_is_not_of_the_run_is_measured_anew(tmp_path, caplog, fault):
    suite = poles(tmp_path / "out")
    folder, options = suite.runs[1], replace(QUICK, states=50, sizes=(1.0,))
    found = disturb_run(suite, folder, None, options, None)
    found.save(folder.path)
    assert known_weight_noise(folder, None, options).run == folder.id
    if fault == "damaged":
        path = folder.path / "weight_noise.json"
        path.write_text(path.read_text().replace("1", "2"))
        words = str(path)
    else:
        replace(found, run=suite.runs[0].id).save(folder.path)
        words = f"{folder.path} holds the weight noise of run {suite.runs[0].id!r}"
    assert known_weight_noise(folder, None, options) is None
    (message,) = caplog.messages
    assert message.startswith("A measurement of weight noise is passed over: ")
    assert words in message
    page = weight_noise(folder.path, None, options, jobs=1).read_text()
    assert folder.spec.label in page
    assert WeightNoise.load(folder.path).run == folder.id


def agent(uniform, inverse, floor=0.0, clean=10.0):
    spread = np.array([-2.0, -1.0, 3.0])  # of episodes; their mean is no median
    given = {"uniform": uniform, "inverse-fisher": inverse}
    returns = {shape: np.array(means)[:, None] + spread for shape, means in given.items()}
    options = WeightNoiseOptions(sizes=(0.1, 1.0))
    return WeightNoise("r", "r", "t", options, 1.0, 0.0, floor, clean + spread, returns)


def test_agents_together_by_hand():
    agents = [
        agent([8.0, 2.0], [9.0, 1.0]),
        agent([10.0, 6.0], [12.0, 10.0], floor=2.0, clean=12.0),
        agent([5.0, 0.0], [6.0, 3.0]),
    ]
    assert mean_kept(agents, "uniform") == pytest.approx([(0.8 + 0.8 + 0.5) / 3, 0.2])
    words = verdict(agents)
    assert "at 0.1 in 3 of 3 agents (by +0.13 on average, p = 0.12)" in words
    assert "at 1 in 2 of 3 agents (by +0.20 on average, p = 0.5)" in words


def test_bad_input_is_refused_in_one_sentence(tmp_path, capsys):
    suite = images(tmp_path / "out")
    # Networks as they began play no better than chance.
    with pytest.raises(ColonnadeError, match="no better than the random one"):
        disturb_run(suite, suite.runs[0], None, replace(QUICK, episodes=20), None)
    assert main(["weight-noise", str(tmp_path)]) == 2
    assert "is neither a folder that" in capsys.readouterr().err
    assert main(["weight-noise", str(suite.path), "--sizes", "0"]) == 2
    assert main(["weight-noise", str(suite.runs[0].path), "--task", "breakout"]) == 2
    assert "breakout" in capsys.readouterr().err
    (suite.runs[0].path / "DONE").unlink()
    assert main(["weight-noise", str(suite.runs[0].path)]) == 1
    assert "isn't complete" in capsys.readouterr().err


def test_a_run_with_nothing_to_lose_is_left_out_of_a_folder(tmp_path, capsys):
    lame = balancing_network(1)
    lame.newest.output.weight.detach().zero_()
    lame.newest.output.bias.detach()[0] = 20.0  # always to the left
    specs = [run_spec(label, "scratch", POLE) for label in ("good", "lame", "also good")]
    nets = [balancing_network(1), lame, balancing_network(1)]
    runs = [(spec, net, {POLE: 0}) for spec, net in zip(specs, nets, strict=True)]
    suite = write_suite(tmp_path / "out", runs)
    options = ["--sizes", "3", "--states", "300", "--episodes", "10", "--jobs", "1"]
    assert main(["weight-noise", str(suite.path), *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 3: lame: left out. The policy scores" in said
    assert "3 of 3: also good: done" in said
    loaded = [WeightNoise.load(folder.path) for folder in suite.runs]
    assert [found and found.label for found in loaded] == ["good", None, "also good"]
    page = (suite.path / "weight-noise.html").read_text()
    assert "also good" in page
    assert "lame" not in page
    assert main(["weight-noise", str(suite.path), "--task", "breakout"]) == 2
    assert "Unknown task of these runs: 'breakout'" in " ".join(capsys.readouterr().err.split())
    rmtree(suite.runs[0].path)
    rmtree(suite.runs[2].path)
    assert main(["weight-noise", str(suite.path), *options]) == 1
    assert "no better than the random one" in " ".join(capsys.readouterr().err.split())
