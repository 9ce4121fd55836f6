"""A policy that knows where everything is: inverse kinematics, then each joint at its own speed."""

import mujoco
import numpy as np

HEIGHT = 0.08
"""Metres over the target that the palm aims for: lower, the fingers touch the table."""


class InverseKinematics:
    """Finds angles of an arm by damped least squares on its palm's place, the hand held down."""

    def __init__(self, scene, rounds=6, damping=0.02, down=0.2):
        self.scene, self.rounds, self.damping, self.down = scene, rounds, damping, down
        self.data = mujoco.MjData(scene.model)
        self.body = int(scene.model.site_bodyid[scene.palm])

    def solve(self, qpos, goal):
        """Return angles [n] that bring the palm to `goal`, begun at `qpos`."""
        scene, data = self.scene, self.data
        model, turning = scene.model, scene.dofs[~scene.clamped]
        places = scene.joints[~scene.clamped]
        low, high = scene.low[~scene.clamped] + 0.05, scene.high[~scene.clamped] - 0.05
        data.qpos[:] = qpos
        moves, turns = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        for _ in range(self.rounds):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_jacSite(model, data, moves, turns, scene.palm)
            hand = -data.site_xmat[scene.palm].reshape(3, 3)[:, 2]
            tilt = np.cross(hand, (0.0, 0.0, -1.0))
            error = np.concatenate((goal - data.site_xpos[scene.palm], self.down * tilt))
            jacobian = np.concatenate((moves[:, turning], self.down * turns[:, turning]))
            square = jacobian @ jacobian.T + self.damping**2 * np.eye(6)
            change = jacobian.T @ np.linalg.solve(square, error)
            data.qpos[places] = np.clip(data.qpos[places] + np.clip(change, -0.5, 0.5), low, high)
        return data.qpos[scene.joints].copy()


def actions(env, solver):
    """Return actions [N, n] that move each arm's palm towards its target."""
    scene, dynamics = env._scene, env._dynamics
    chosen = np.zeros((env.num_envs, len(scene.joints)), np.int64)
    for arm in range(env.num_envs):
        qpos = env._qpos[arm]
        wanted = solver.solve(qpos, env._mocap_pos[arm, 0] + (0.0, 0.0, HEIGHT))
        apart = wanted - qpos[scene.joints]
        far = np.abs(apart) > scene.speeds * dynamics.step_seconds / 2
        chosen[arm] = np.where(far & ~scene.clamped, np.where(apart > 0, 1, 2), 0)
    return chosen


def returns(env, policy, episodes, seed=0):
    """Play and return undiscounted returns, the first `episodes / N` of each environment."""
    share = -(-episodes // env.num_envs)
    env.reset(seed=seed)
    total, done = np.zeros(env.num_envs), [[] for _ in range(env.num_envs)]
    while min(map(len, done)) < share:
        _, rewards, terminated, truncated, _ = env.step(policy())
        total += rewards
        for arm in np.flatnonzero(terminated | truncated):
            done[arm].append(total[arm])
            total[arm] = 0
    return np.array([one[:share] for one in done]).ravel()
