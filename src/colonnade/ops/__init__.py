"""The arithmetic of learning: returns, distributions over outputs, the Fisher information."""

from colonnade.ops.fisher import FisherKind, evaluation, parameter_fisher
from colonnade.ops.policies import Gaussian, MultiCategorical, categorical, gaussian
from colonnade.ops.quadratic import Quadratic
from colonnade.ops.returns import gae, n_step_returns

__all__ = [
    "FisherKind",
    "Gaussian",
    "MultiCategorical",
    "Quadratic",
    "categorical",
    "evaluation",
    "gae",
    "gaussian",
    "n_step_returns",
    "parameter_fisher",
]
