"""Which task is this? Recognisers look at frames and say; a context is a task id."""

from colonnade.recognition.forget_me_not import FlatForgetMeNot, ForgetMeNot
from colonnade.recognition.recogniser import Observation, Recogniser, RecogniserConfig
from colonnade.recognition.true_labels import TrueLabels, TrueTasks

__all__ = [
    "FlatForgetMeNot",
    "ForgetMeNot",
    "Observation",
    "Recogniser",
    "RecogniserConfig",
    "TrueLabels",
    "TrueTasks",
]
