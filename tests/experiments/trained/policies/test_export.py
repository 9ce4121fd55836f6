"""Exported policies do what the policies do, step by step."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

import colonnade
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.trained.policies import export
from colonnade.learners import A2C, DQN
from colonnade.methods import Progressive
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense, Join
from colonnade.types import TaskSpec

IMAGES = Box(0, 255, (3, 12, 12), np.uint8)
BOTH = Dict({"observation": IMAGES, "joints": Box(-1, 1, (2,), np.float64)})
RECURRENT = ColumnSpec((Conv(4, 4, 2), Join("joints", 3), LSTM(5)), input="observation")
FLAT = ColumnSpec((Dense(6),), activation="tanh")
NUMBERS = Box(np.array([-2, 0], np.float32), np.array([2, 5], np.float32))
CASES = {
    "recurrent": (BOTH, MultiDiscrete([3, 2], start=[2, -1]), RECURRENT, A2C()),
    "numbers": (Box(-1, 1, (4,), np.float32), NUMBERS, FLAT, A2C()),
    "numbers without bounds": (
        Box(-1, 1, (4,), np.float32),
        Box(np.array([-np.inf, 0], np.float32), np.full(2, np.inf, np.float32)),
        FLAT,
        A2C(),
    ),
    "one number": (Box(-1, 1, (4,), np.float32), Box(0, 3, (), np.float32), FLAT, A2C()),
    "a matrix": (Box(-1, 1, (4,), np.float32), Box(-2, 3, (2, 3), np.float32), FLAT, A2C()),
    "values": (Box(-1, 1, (4,), np.float32), Discrete(3, start=-1), FLAT, DQN()),
}


def policy(case: str) -> colonnade.TrainedPolicy:
    observations, actions, column, learner = CASES[case]
    method = Progressive(column)
    torch.manual_seed(3)
    for name in ("first", "second"):
        spec = TaskSpec(name, observations, actions, 10)
        method.begin_task(spec, learner.outputs(spec))
    with torch.no_grad():  # so that actions differ from one observation to the next
        method.network.newest.output.weight.normal_()
    return colonnade.TrainedPolicy(method.network_for("second"), spec, learner, greedy=True)


def observed(space: gymnasium.Space[Any], count: int) -> dict[str, Any]:
    seen = [space.sample() for _ in range(count)]
    if isinstance(space, Dict):
        return {name: np.stack([one[name] for one in seen]) for name in space.spaces}
    return {"observation": np.stack(seen)}


def as_given(seen: dict[str, Any]) -> list[Any]:
    """In the order of the task's inputs, float64 as float32."""
    return [v.astype(np.float32) if v.dtype == np.float64 else v for v in seen.values()]


@pytest.mark.parametrize("case", CASES)
def test_torch_export_acts_as_the_policy_does(tmp_path: Path, case: str) -> None:
    plain = policy(case)
    plain.export(tmp_path / "policy.pt2")
    program = torch.export.load(tmp_path / "policy.pt2").module()
    space = plain.spec.observation_space
    space.seed(0)
    state = list(plain.network.initial_state(7).values())
    chosen = []
    for _ in range(3):
        seen = observed(space, 7)
        given = {name: seen[name] for name in plain.spec.input_shapes}
        with torch.no_grad():
            actions, _, *state = program(*map(torch.from_numpy, as_given(given)), *state)
        expected = plain(seen if len(seen) > 1 else seen["observation"])
        assert actions.shape == expected.shape
        np.testing.assert_allclose(actions.numpy(), expected, rtol=0, atol=1e-5)
        chosen.append(actions)
    assert len(torch.cat(chosen).unique(dim=0)) > 1
    if "without" in case:  # far beyond where a number with bounds would stop
        assert torch.cat(chosen).abs().max() > 1.5


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_onnx_acts_as_the_policy_does(tmp_path: Path, case: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    plain = policy(case)
    plain.export(tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx")
    names = [*plain.spec.input_shapes, *plain.network.initial_state(1)]
    assert [one.name for one in session.get_inputs()] == names
    state = {name: v.numpy() for name, v in plain.network.initial_state(5).items()}
    assert [one.name for one in session.get_outputs()] == [
        "actions", "output", *(f"next/{name}" for name in state),
    ]  # fmt: skip
    space = plain.spec.observation_space
    for _ in range(3):
        seen = observed(space, 5)
        given = dict(zip(plain.spec.input_shapes, as_given(
            {name: seen[name] for name in plain.spec.input_shapes}), strict=True))  # fmt: skip
        actions, _, *after = session.run(None, {**given, **state})
        state = dict(zip(state, after, strict=True))
        expected = plain(seen if len(seen) > 1 else seen["observation"])
        np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-5)


def test_what_cannot_be_exported_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match=r"is called \*.pt2 \(torch.export\) or \*.onnx, but 'a.pt"
    ):
        policy("values").export(tmp_path / "a.pt")
    monkeypatch.setattr(export, "_missing", lambda names: ["onnxscript"])
    with pytest.raises(ColonnadeError, match=r"onnxscript, which is not installed; install colon"):
        policy("values").export(tmp_path / "a.onnx")
    for write in (policy("values").export, policy("values").save):
        with pytest.raises(ColonnadeError, match=r"there is no folder .*nowhere; make it first"):
            write(tmp_path / "nowhere" / "a.pt2")


def test_a_refused_export_leaves_the_policy_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = policy("values")

    def forward(*tensors: Any) -> Any:
        raise KeyError("what a user's own module may raise")

    monkeypatch.setattr(plain.network, "forward", forward)
    moved = []
    monkeypatch.setattr(plain.network, "to", moved.append)
    with pytest.raises(UsageError, match=r"'second' can't be exported: .*own module may raise"):
        plain.export(tmp_path / "a.pt2")
    assert moved == [torch.device("cpu")]  # back to where it was
    assert not list(tmp_path.iterdir())
