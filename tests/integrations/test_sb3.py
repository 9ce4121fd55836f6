"""Columns and EWC in Stable-Baselines3's PPO: two tasks, and what each promises of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from colonnade.errors import UsageError
from colonnade.methods import Consolidation
from colonnade.networks import LSTM, ColumnSpec, Custom, Dense, ProgressiveNetwork

sb3 = pytest.importorskip("stable_baselines3")
callbacks = pytest.importorskip("stable_baselines3.common.callbacks")
Monitor = pytest.importorskip("stable_baselines3.common.monitor").Monitor
integration = pytest.importorskip("colonnade.integrations.sb3")


def linear(shape: tuple[int, ...]) -> torch.nn.Module:
    """What policies of Stable-Baselines3 start anew where they find it."""
    return torch.nn.Linear(shape[0], 8)


COLUMN = ColumnSpec((Custom(linear, (8,)), Dense(6)), activation="tanh")
SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 2, "seed": 0, "device": "cpu"}


def poles(gravity: float = 9.8) -> gymnasium.Env[Any, Any]:
    env = gymnasium.make("CartPole-v1")
    env.unwrapped.gravity = gravity  # type: ignore[attr-defined]
    return env


def column_model(network: ProgressiveNetwork, env: Any, **more: Any) -> Any:
    options = {"network": network, "column": COLUMN, "features": 5, **more}
    policy = {
        "features_extractor_class": integration.ProgressiveFeatures,
        "features_extractor_kwargs": options,
        "net_arch": [],
    }
    return sb3.PPO("MlpPolicy", env, policy_kwargs=policy, **SMALL)


def test_each_model_learns_a_column_that_reads_those_before() -> None:
    network = ProgressiveNetwork()
    first = column_model(network, poles())
    begun = [p.clone() for p in network.column(0).parameters()]
    first.learn(64)
    learned = [p.detach().clone() for p in network.column(0).parameters()]
    assert not all(map(torch.equal, begun, learned))
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    told = first.policy.predict_values(torch.from_numpy(rows))
    second = column_model(network, poles(20.0))
    laterals = {
        name: p.detach().clone() for name, p in network.column(1).named_parameters()
        if "lateral" in name
    }  # fmt: skip
    second.learn(64)
    assert len(network.columns) == 2
    # What was learned stays to the bit, also through the policy's own first weights.
    assert all(map(torch.equal, learned, network.column(0).parameters()))
    assert torch.equal(first.policy.predict_values(torch.from_numpy(rows)), told)
    after = dict(network.column(1).named_parameters())
    assert laterals
    assert any(not torch.equal(after[name], value) for name, value in laterals.items())
    # The second reads the first: what breaks there is felt here.
    with torch.no_grad():
        network.column(0).stage(1).weight.fill_(float("nan"))
    assert second.policy.predict_values(torch.from_numpy(rows)).isnan().all()


def values(model: Any) -> torch.Tensor:
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    told: torch.Tensor = model.policy.predict_values(torch.from_numpy(rows)).detach()
    return told


class Look(callbacks.BaseCallback):  # type: ignore[misc,name-defined]
    """Keeps what the best model said when it was saved."""

    def _on_step(self) -> bool:
        self.best = values(self.model)
        return True


def test_models_that_are_saved_and_loaded_go_on_with_their_own_columns(tmp_path: Path) -> None:
    network = ProgressiveNetwork()
    first = column_model(network, poles())
    first.learn(32)
    first.save(tmp_path / "alone")
    second = column_model(network, poles(20.0))  # of the live network: a save changes nothing
    assert len(network.columns) == 2
    look = Look()
    second.learn(
        32,
        callback=callbacks.EvalCallback(
            Monitor(poles()), look, eval_freq=32, best_model_save_path=str(tmp_path), verbose=0
        ),
    )
    second.save(tmp_path / "second")
    first.save(tmp_path / "first")  # whose column is the older of two
    for name, model, columns in (("alone", first, 1), ("first", first, 2), ("second", second, 2)):
        again = sb3.PPO.load(tmp_path / name, device="cpu")
        own = again.policy_kwargs["features_extractor_kwargs"]["network"]
        assert len(own.columns) == columns
        assert torch.equal(values(again), values(model))
        assert again.policy.state_dict().keys() == model.policy.state_dict().keys()
    policy = type(second.policy)
    second.policy.save(str(tmp_path / "policy"))
    alike = policy.load(str(tmp_path / "policy"), device="cpu")
    assert torch.equal(values(SimpleNamespace(policy=alike)), values(second))
    best = sb3.PPO.load(tmp_path / "best_model", device="cpu")
    assert torch.equal(values(best), look.best)

    # It learns on, and a third reads both.
    again = sb3.PPO.load(tmp_path / "second", env=poles(20.0), device="cpu")
    own = again.policy_kwargs["features_extractor_kwargs"]["network"]
    frozen = [p.detach().clone() for p in own.column(0).parameters()]
    begun = [p.detach().clone() for p in own.column(1).parameters()]
    again.learn(32)
    assert all(map(torch.equal, frozen, own.column(0).parameters()))
    assert not all(map(torch.equal, begun, own.column(1).parameters()))
    told = values(again)
    third = column_model(own, poles(5.0))
    third.learn(32)
    assert len(own.columns) == 3
    assert torch.equal(values(again), told)
    with torch.no_grad():
        own.column(0).stage(1).weight.fill_(float("nan"))
    assert values(third).isnan().all()


def test_what_columns_cannot_be_features_of_is_refused() -> None:
    with pytest.raises(UsageError, match="A column with an LSTM has a state"):
        column_model(ProgressiveNetwork(), poles(), column=ColumnSpec((LSTM(3),)))
    with pytest.raises(UsageError, match="must be a ProgressiveNetwork, the same for all"):
        column_model(COLUMN, poles())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Columns read Boxes, but 'observation' is Discrete"):
        column_model(ProgressiveNetwork(), gymnasium.make("FrozenLake-v1"))


def ewc_model(lam: float, callback: Any = None) -> tuple[Any, Any, dict[str, torch.Tensor]]:
    """Two tasks by one model: the model, the callback, and the weights between the tasks."""
    ewc = callback or integration.EWCCallback(lam)
    policy = {"net_arch": [6], "activation_fn": torch.nn.Tanh}
    model = sb3.PPO("MlpPolicy", poles(), policy_kwargs=policy, **{**SMALL, "n_epochs": 10})
    model.learn(64, callback=ewc)
    anchor = {name: p.detach().clone() for name, p in model.policy.named_parameters()}
    model.set_env(poles(20.0))
    model.get_env().seed(0)  # the model's seed is for its first environment alone
    model.learn(128, callback=ewc)
    return model, ewc, anchor


def test_ewc_holds_a_model_by_the_fisher_of_its_policy() -> None:
    far = {}
    for lam in (0.0, 1e5):
        model, ewc, anchor = ewc_model(lam)
        held = ewc.consolidation.held()
        assert sorted(held) == [
            "action_net.bias", "action_net.weight", "mlp_extractor.policy_net.0.bias",
            "mlp_extractor.policy_net.0.weight",
        ]  # fmt: skip
        now = dict(model.policy.named_parameters())
        far[lam] = sum(float((now[name] - anchor[name]).detach().square().sum()) for name in held)
        free = "value_net.weight"
        assert not torch.equal(now[free], anchor[free])
        assert ewc.consolidation.tasks == 2
    assert 0 < far[1e5] < 0.2 * far[0.0]


def test_the_fisher_is_that_of_the_last_rollout() -> None:
    """Against the slow way: sum over actions of p(a) (d log p(a) / d theta)^2, row by row."""
    ewc = integration.EWCCallback(1.0)
    model = sb3.PPO("MlpPolicy", poles(), policy_kwargs={"net_arch": [5]}, **SMALL)
    model.learn(32, callback=ewc)
    rows = torch.from_numpy(model.rollout_buffer.observations.reshape(-1, 4))
    assert len(rows) == 32
    held = {
        name: p for name, p in model.policy.named_parameters()
        if name in ewc.consolidation.held()
    }  # fmt: skip
    expected = {name: torch.zeros_like(p) for name, p in held.items()}
    for row in rows:
        probabilities = model.policy.get_distribution(row[None]).distribution.probs[0]
        for action, share in enumerate(probabilities.detach()):
            log = model.policy.get_distribution(row[None]).log_prob(torch.tensor([action]))
            gradients = torch.autograd.grad(log.sum(), list(held.values()))
            for name, gradient in zip(held, gradients, strict=True):
                expected[name] += share * gradient.square() / len(rows)
    for name, value in expected.items():
        torch.testing.assert_close(
            ewc.consolidation.quadratic.curvature[name], value, rtol=1e-4, atol=1e-7
        )


def test_an_attached_penalty_is_what_adding_it_to_the_loss_is() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    ewc = Consolidation(network, lam=3.0)
    for _ in range(2):
        ewc.consolidate([(torch.randn(8, 3), torch.zeros(8, dtype=torch.long))])
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.3 * torch.randn_like(parameter)
    inputs = torch.randn(5, 3)
    (network(inputs).square().mean() + ewc.penalty()).backward()
    expected = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    network.zero_grad()
    let_go = ewc.attach()
    network(inputs).square().mean().backward()
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    let_go()
    network.zero_grad()
    network(inputs).square().mean().backward()
    first = next(network.parameters()).grad
    assert first is not None
    assert not torch.allclose(first, expected[0])


def test_continuous_actions_are_held_by_their_means() -> None:
    ewc = integration.EWCCallback(1.0)
    model = sb3.PPO("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [5]}, **SMALL)
    model.learn(32, callback=ewc)
    # The bias of the one mean: d mean / d bias is 1, and the Fisher 1 / width^2.
    width = model.policy.log_std.detach().exp()
    torch.testing.assert_close(
        ewc.consolidation.quadratic.curvature["action_net.bias"], 1 / width.square()
    )
    assert "log_std" not in ewc.consolidation.held()


class After(callbacks.BaseCallback):  # type: ignore[misc,name-defined]
    """Ends a call of `learn` after some steps, or interrupts it."""

    def __init__(self, steps: int, error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.steps, self.error = steps, error

    def _on_training_start(self) -> None:
        self.begun = self.n_calls

    def _on_step(self) -> bool:
        done = self.n_calls - self.begun >= self.steps
        if done and self.error:
            raise self.error
        return not done


def test_after_an_interrupted_call_the_penalty_counts_once() -> None:
    grown = []
    for interrupted in (False, True):
        ewc = integration.EWCCallback(10.0)
        model = sb3.PPO("MlpPolicy", poles(), policy_kwargs={"net_arch": [5]}, **SMALL)
        model.learn(32, callback=ewc)
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                model.learn(32, callback=[ewc, After(3, KeyboardInterrupt)])
        bias = model.policy.action_net.bias
        with torch.no_grad():
            bias += 1.0
        ewc.init_callback(model)
        ewc.on_training_start({}, {})
        bias.grad = None
        (0.0 * bias).sum().backward()
        grown.append(bias.grad)
    curvature = ewc.consolidation.quadratic.curvature["action_net.bias"]
    torch.testing.assert_close(grown[0], 10.0 * curvature, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(grown[1], grown[0])


class Named(gymnasium.ObservationWrapper[Any, Any, Any]):
    """The same observations in a Dict."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Dict({"pole": env.observation_space})

    def observation(self, observation: Any) -> Any:
        return {"pole": observation}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("stopped", "seen"), [(11, slice(0, 10)), (43, slice(0, 32))])
def test_the_fisher_of_a_call_that_is_stopped_is_of_what_was_seen(
    stopped: int, seen: Any, named: bool
) -> None:
    ewc, watched = integration.EWCCallback(1.0), []

    class Watching(callbacks.BaseCallback):  # type: ignore[misc,name-defined]
        def _on_step(self) -> bool:
            rows = self.locals["obs_tensor"]
            watched.append((rows["pole"] if named else rows).clone())
            return True

    kind, env = ("MultiInputPolicy", Named(poles())) if named else ("MlpPolicy", poles())
    model = sb3.PPO(kind, env, policy_kwargs={"net_arch": [5]}, **SMALL)
    model.learn(320, callback=[Watching(), After(stopped), ewc])
    assert len(watched) == stopped
    slow = Consolidation(
        model.policy,
        lam=1.0,
        forward=lambda policy, rows: policy.get_distribution(rows).distribution.logits,
        exclude=["*value_net*"],
    )
    rows = torch.cat(watched)[seen]
    expected = slow.fisher([{"pole": rows} if named else rows])
    for name, value in ewc.consolidation.quadratic.curvature.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-7)


def test_a_call_that_saw_nothing_holds_nothing_and_says_so() -> None:
    ewc = integration.EWCCallback(1.0)
    model = sb3.PPO("MlpPolicy", poles(), policy_kwargs={"net_arch": [5]}, **SMALL)
    with pytest.warns(UserWarning, match="no observations of this task and does not hold"):
        model.learn(32, callback=[After(1), ewc])
    assert ewc.consolidation.tasks == 0
    model.learn(32, callback=ewc)
    with pytest.warns(UserWarning, match="no observations of this task"):
        model.learn(0, callback=ewc)
    assert ewc.consolidation.tasks == 1


class Buttons(gymnasium.Env[Any, Any]):
    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.MultiBinary(2)

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        return np.zeros(3, np.float32), {}


def test_policies_that_the_callback_cannot_hold_are_refused_before_they_learn() -> None:
    for model, message in (
        (sb3.PPO("MlpPolicy", "Pendulum-v1", use_sde=True, **SMALL), "no state-dependent explor"),
        (sb3.PPO("MlpPolicy", Buttons(), **SMALL), r"but the policy has MultiBinary\(2\)"),
    ):
        with pytest.raises(UsageError, match=message):
            model.learn(32, callback=integration.EWCCallback(1.0))
        assert model.num_timesteps == 0


class Remembering(sb3.common.policies.ActorCriticPolicy):
    """What it does hangs on a state, as that of sb3-contrib's RecurrentPPO."""

    def get_distribution(self, obs: Any, lstm_states: Any, episode_starts: Any) -> Any:
        raise AssertionError("nobody may ask it without a state")


def test_a_policy_that_remembers_is_refused_before_it_learns() -> None:
    model = sb3.PPO(Remembering, poles(), **SMALL)
    with pytest.raises(UsageError, match="of Remembering asks for lstm_states, episode_starts too"):
        model.learn(32, callback=integration.EWCCallback(1.0))
    assert model.num_timesteps == 0


def test_models_that_the_callback_cannot_hold_are_refused() -> None:
    dqn = sb3.DQN("MlpPolicy", poles(), buffer_size=100, device="cpu")
    with pytest.raises(UsageError, match="holds the policy of PPO or A2C, but the model is a DQN"):
        dqn.learn(1, callback=integration.EWCCallback(1.0))
    _, ewc, _ = ewc_model(1.0)
    with pytest.raises(UsageError, match="holds another model's policy; go on with that model"):
        ewc_model(1.0, ewc)
