"""A sequence of two tasks that is learned in seconds, by columns with memory."""

from colonnade.learners import PPO
from colonnade.methods import Progressive
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.tasks import MiniPongTask

COLUMN = ColumnSpec((Conv(4, 4, 2), Dense(8), LSTM(6)))
TASKS = [MiniPongTask("pong", steps=600), MiniPongTask("zoom", steps=500)]
LEARNER = PPO(rollout_steps=15, minibatches=2, epochs=2)


class Held(Progressive):
    """Holds all weights of the newest column towards zero."""

    def penalty(self):
        return 0.01 * sum(p.square().sum() for p in self.network.newest.parameters())
