"""A slow memory that keeps everything, and made-up experience to put into it and into a replay."""

import numpy as np
import torch


class Experience:
    """N made-up environments: stacks of C frames that episodes begin as emulators do."""

    def __init__(self, seed, envs, planes=4, *, end=0.2, cut=0.5, life=0.1, start="black"):
        self.random = np.random.default_rng(seed)
        self.envs, self.planes, self.how = envs, planes, start
        self.end, self.cut, self.life = end, cut, life
        self.count = 0
        self.stacks = np.stack([self._start() for _ in range(envs)])

    def _frame(self):
        """A frame like no other: its number, in bytes."""
        self.count += 1
        return np.array([self.count % 251, self.count // 251, 7, 9], np.uint8).reshape(2, 2)

    def _start(self):
        if self.how == "black":
            first = np.zeros((self.planes, 2, 2), np.uint8)
            first[-1] = self._frame()
            return first
        if self.how == "same":
            return np.stack([self._frame()] * self.planes)
        return np.stack([self._frame() for _ in range(self.planes)])

    def inputs(self, stacks=None):
        now = torch.from_numpy((self.stacks if stacks is None else stacks).copy())
        return {"observation": now, "kept": now.flatten(1).float() / 8}

    def step(self):
        r = self.random
        ended = r.random(self.envs) < self.end
        terminated = ended & (r.random(self.envs) >= self.cut)
        truncated = ended & ~terminated
        lives = ~ended & (r.random(self.envs) < self.life)
        final = np.concatenate(
            [self.stacks[:, 1:], np.stack([self._frame() for _ in range(self.envs)])[:, None]], 1
        )
        self.stacks = final.copy()
        for env in np.flatnonzero(ended):
            self.stacks[env] = self._start()
        as_tensor = torch.from_numpy
        return {
            "actions": as_tensor(r.integers(5, size=(self.envs, 1))),
            "rewards": as_tensor(r.integers(-3, 4, self.envs).astype(np.float32)),
            "terminated": as_tensor(terminated | lives),
            "truncated": as_tensor(truncated),
            "inputs": self.inputs(),
            "ended": as_tensor(ended),
            "final": self.inputs(final),
        }


class EverythingKept:
    """Every transition of every environment, as lists that grow."""

    def __init__(self, envs):
        self.steps = [[] for _ in range(envs)]  # (s, a, r, terminated, truncated, s')

    def begin(self, inputs):
        self.now = inputs

    def add(self, actions, rewards, terminated, truncated, inputs, ended, final):
        for env, steps in enumerate(self.steps):
            after = final if ended[env] else inputs
            seen = {k: v[env] for k, v in self.now.items()}
            then = {k: v[env] for k, v in after.items()}
            end = bool(terminated[env]), bool(truncated[env])
            steps.append((seen, int(actions[env, 0]), float(rewards[env]), *end, then))
        self.now = inputs

    def transition(self, env, t, n, gamma):
        """(s, a, return, discount, s') from step t on, or None where steps are still missing."""
        steps = self.steps[env]
        total, discount = 0.0, 1.0
        for k in range(n):
            if t + k >= len(steps):
                return None
            _, _, reward, terminated, truncated, then = steps[t + k]
            total += discount * reward
            discount *= gamma
            if terminated or truncated:
                break
        seen, action = steps[t][:2]
        return seen, action, total, 0.0 if terminated else discount, then
