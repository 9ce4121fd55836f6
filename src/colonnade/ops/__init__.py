"""The arithmetic of learning: returns, distributions over outputs, the Fisher information."""

from colonnade.ops.diagonal_gaussian import DiagonalGaussian
from colonnade.ops.distributions import MultiCategorical
from colonnade.ops.fisher.estimate import (
    MAX_BYTES,
    check_fisher_options,
    evaluation,
    parameter_fisher,
)
from colonnade.ops.fisher.scores import FisherKind
from colonnade.ops.fisher.squared_gradients import How
from colonnade.ops.likelihoods import Bernoulli, Gaussian, bernoulli, categorical, gaussian
from colonnade.ops.quadratic import Quadratic
from colonnade.ops.returns import gae, n_step_returns

__all__ = [
    "MAX_BYTES",
    "Bernoulli",
    "DiagonalGaussian",
    "FisherKind",
    "Gaussian",
    "How",
    "MultiCategorical",
    "Quadratic",
    "bernoulli",
    "categorical",
    "check_fisher_options",
    "evaluation",
    "gae",
    "gaussian",
    "n_step_returns",
    "parameter_fisher",
]
