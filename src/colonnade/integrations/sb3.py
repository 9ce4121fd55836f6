"""Progressive columns and EWC in Stable-Baselines3 (`pip install colonnade[sb3]`).

A new column for each model, which reads those of the models before::

    columns = ProgressiveNetwork()
    for env in (first, second):
        features = {"network": columns, "column": mlp_column(), "features": 64}
        policy = {"features_extractor_class": ProgressiveFeatures,
                  "features_extractor_kwargs": features, "net_arch": []}
        model = PPO("MlpPolicy", env, policy_kwargs=policy)
        model.learn(100_000)

and one model that goes from task to task, held near what it has learned::

    ewc, model = EWCCallback(lam=100.0), PPO("MlpPolicy", first)
    model.learn(100_000, callback=ewc)
    model.set_env(second)
    model.learn(100_000, callback=ewc)
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
from torch import Tensor, nn

from colonnade.checks import whole
from colonnade.errors import ColonnadeError, UsageError
from colonnade.methods import Consolidation
from colonnade.networks import ColumnSpec, ProgressiveNetwork, default_column
from colonnade.ops import MultiCategorical
from colonnade.ops.likelihoods import Gaussian
from colonnade.types import OBSERVATION

try:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.utils import obs_as_tensor
except ImportError as error:
    raise ColonnadeError(
        "colonnade.integrations.sb3 takes Stable-Baselines3, which is not installed; install "
        "colonnade[sb3]."
    ) from error


_SAVED = "_column_of_saved_model"
"""The attribute by which a network in a model's file says which of its columns is the model's."""


class ProgressiveFeatures(BaseFeaturesExtractor):
    """A new column of a progressive network as the features of a policy.

    The column's output layer, with its laterals from the columns before, makes the features; set
    the policy's "net_arch" to [] to have actions and values read them directly. For algorithms
    whose policy makes one features extractor: PPO and A2C.

    A model that is loaded from a file brings a copy of the network, and goes on with its own column
    there. Later models that are to read it take that copy:
    `model.policy_kwargs["features_extractor_kwargs"]["network"]`.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        network: ProgressiveNetwork,
        column: ColumnSpec | None = None,
        features: int = 64,
    ) -> None:
        """Freeze the columns of earlier models, and add one; a loaded model's is there already.

        Args:
            observation_space: A Box, or a Dict of Boxes; images channels-first, as policies of
                Stable-Baselines3 show them.
            network: Takes the column; the same for all models.
            column: What it looks like; by default one that suits the observations.
            features: How many features it makes.

        Raises:
            UsageError: The observations are of another kind, or do not fit the network's columns;
                or the column has an LSTM.
        """
        super().__init__(observation_space, whole("features of ProgressiveFeatures", features))
        if not isinstance(network, ProgressiveNetwork):
            raise UsageError(
                "network of ProgressiveFeatures must be a ProgressiveNetwork, the same for all "
                f"models; got a {type(network).__name__}."
            )
        spaces: Mapping[str, gymnasium.Space[Any]] = {OBSERVATION: observation_space}
        if isinstance(observation_space, gymnasium.spaces.Dict):
            spaces = observation_space.spaces
        shapes = {}
        for name, space in spaces.items():
            if not isinstance(space, gymnasium.spaces.Box):
                raise UsageError(
                    f"Columns read Boxes, but {name!r} is {space}; wrap the environment in "
                    "gymnasium.wrappers.FlattenObservation."
                )
            shapes[name] = tuple(map(int, space.shape))
        index = network.__dict__.pop(_SAVED, None)
        if not isinstance(index, int):
            index = network.add_column(column or default_column(shapes), shapes, features)
        self._network = (network,)  # in a tuple, for it is no part of this module
        self._view = network.view(index)
        if self._view.initial_state(1):
            raise UsageError(
                "A column with an LSTM has a state, which a features extractor of "
                "Stable-Baselines3 cannot keep; give one without."
            )

    def forward(self, observations: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Map observations [N, ...] to features [N, features]."""
        inputs = observations if isinstance(observations, Mapping) else {OBSERVATION: observations}
        features: Tensor = self._view(dict(inputs))[0]
        return features

    def apply(self, fn: Callable[[nn.Module], None]) -> ProgressiveFeatures:
        """Leave all weights as they are: policies would start frozen columns anew by this."""
        return self

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        """Tell the network whose state is asked for: models write their arguments after it."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        self._network[0].__dict__[_SAVED] = _Saved(self._view.newest.index)


class _Saved:
    """The column of a model that is being saved: in the file a number, here gone once written."""

    def __init__(self, column: int) -> None:
        self._column: int | None = column

    def __reduce__(self) -> tuple[Any, ...]:
        column, self._column = self._column, None
        return _column, (column,)


def _column(index: int | None) -> int | None:
    return index


class EWCCallback(BaseCallback):
    """Elastic weight consolidation of a model that learns one task after another.

    From the second call of `learn` on, every gradient has that of the penalty added before it is
    clipped; when a call ends, the Fisher is estimated on the last rollout, of the policy alone:
    the value function stays free, as does the width of Gaussian policies. A rollout that another
    callback stops midway is left out, unless it is the call's first: then the steps so far count.
    A call that is stopped at its very first step has seen nothing; it holds nothing, and warns.

    Attributes:
        consolidation: The penalties so far; None before the first call of `learn`.
    """

    def __init__(self, lam: float, samples: int | None = None, exclude: Sequence[str] = ()) -> None:
        """Begin with no task.

        Args:
            lam: Weight of the penalty (lam / 2) sum_i F_i (theta_i - theta*_i)^2 (Kirkpatrick et
                al. 2017, eq. 3), in units of PPO's loss, a mean over samples.
            samples: How many observations the Fisher takes; None is all of the last rollout.
            exclude: Patterns of the policy's parameters that are left free too.
        """
        super().__init__()
        self.consolidation: Consolidation | None = None
        self._options: dict[str, Any] = {"lam": lam, "samples": samples}
        self._exclude = tuple(exclude)
        self._let_go: Callable[[], None] = lambda: None
        self._whole: Any = None  # the observations of this call's last rollout that came to its end

    def _init_callback(self) -> None:
        policy = self.model.policy
        if not isinstance(self.model, OnPolicyAlgorithm) or not isinstance(
            policy, ActorCriticPolicy
        ):
            raise UsageError(
                "EWCCallback holds the policy of PPO or A2C, but the model is a "
                f"{type(self.model).__name__}."
            )
        if policy.use_sde:
            raise UsageError(
                "EWCCallback takes no state-dependent exploration (gSDE), whose width of actions "
                "hangs on the features; make the model with use_sde=False."
            )
        if len(asked := inspect.signature(policy.get_distribution).parameters) > 1:
            raise UsageError(
                "EWCCallback holds policies that act on an observation alone, but get_distribution "
                f"of {type(policy).__name__} asks for {', '.join(list(asked)[1:])} too, as a "
                "recurrent policy's does; use PPO or A2C without memory."
            )
        _sizes(policy)
        if self.consolidation is None:
            free = ("value_net.", "mlp_extractor.value_net.", "vf_features_extractor.", "log_std")
            names = [name for name, _ in policy.named_parameters() if name.startswith(free)]
            self.consolidation = Consolidation(
                policy, forward=_meaning_of, exclude=[*names, *self._exclude], **self._options
            )
        elif self.consolidation.network is not policy:
            raise UsageError(
                "This EWCCallback holds another model's policy; go on with that model "
                "(set_env), or make a new callback."
            )

    def _on_training_start(self) -> None:
        assert self.consolidation is not None
        self._let_go()  # of a call that was interrupted
        self._whole = None
        if self.consolidation.tasks:
            self._let_go = self.consolidation.attach()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        self._whole = self.model.rollout_buffer.observations

    def _on_training_end(self) -> None:
        assert self.consolidation is not None
        assert isinstance(self.model, OnPolicyAlgorithm)
        self._let_go()
        policy, buffer = self.model.policy, self.model.rollout_buffer
        seen, self._whole = self._whole, None
        if seen is None:
            seen = buffer.observations
            steps = 0 if buffer.full else buffer.pos  # a full one is of an earlier call
            if not steps:
                warnings.warn(
                    "The call of learn ended before its first step was over, so EWCCallback has "
                    "no observations of this task and does not hold the policy to it.",
                    stacklevel=2,
                )
                return
            if isinstance(seen, dict):
                seen = {name: part[:steps] for name, part in seen.items()}
            else:
                seen = seen[:steps]
        policy.set_training_mode(False)
        sizes = _sizes(policy)

        def likelihood(output: Tensor) -> Any:
            return Gaussian(output) if sizes is None else MultiCategorical(output, sizes)

        self.consolidation.consolidate(_batches(seen, policy), likelihood)


def _meaning_of(policy: nn.Module, observations: Any) -> Tensor:
    """Return logits, or means in units of the policy's width, of observations [N, ...]."""
    assert isinstance(policy, ActorCriticPolicy)
    features: Any = policy.extract_features(observations, policy.pi_features_extractor)
    output: Tensor = policy.action_net(policy.mlp_extractor.forward_actor(features))
    if isinstance(policy.action_space, gymnasium.spaces.Box):
        return output / policy.log_std.detach().exp()
    return output


def _sizes(policy: ActorCriticPolicy) -> tuple[int, ...] | None:
    """Return how many choices each action component has, or None for continuous actions."""
    space = policy.action_space
    if isinstance(space, gymnasium.spaces.Box):
        return None
    if isinstance(space, gymnasium.spaces.MultiDiscrete):
        return tuple(map(int, space.nvec))
    if isinstance(space, gymnasium.spaces.Discrete):
        return (int(space.n),)
    raise UsageError(
        f"EWCCallback takes Discrete, MultiDiscrete and Box actions, but the policy has {space}."
    )


def _batches(seen: Any, policy: ActorCriticPolicy, size: int = 256) -> list[Any]:
    """Cut a rollout's observations, [T, N, ...] or [T N, ...] each, into batches of tensors."""
    space = policy.observation_space

    def flat(part: Any, of: gymnasium.Space[Any]) -> Any:
        return part.reshape(-1, *(of.shape or ()))

    if isinstance(space, gymnasium.spaces.Dict):
        rows: Any = {name: flat(seen[name], of) for name, of in space.spaces.items()}
        count = len(next(iter(rows.values())))
        cut = [
            {name: part[at : at + size] for name, part in rows.items()}
            for at in range(0, count, size)
        ]
    else:
        rows = flat(seen, space)
        cut = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [obs_as_tensor(each, policy.device) for each in cut]
