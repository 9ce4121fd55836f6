"""Showing the rows of metrics elsewhere as they come: TensorBoard, Weights & Biases, one's own."""

from colonnade.training.tracking.tensorboard import TensorBoard
from colonnade.training.tracking.tracker import Tracker
from colonnade.training.tracking.trackers import TrackedRecorder, Trackers
from colonnade.training.tracking.weights_and_biases import WeightsAndBiases

__all__ = ["TensorBoard", "TrackedRecorder", "Tracker", "Trackers", "WeightsAndBiases"]
