"""The arm's tasks by name, what they refuse, and films of them."""

import hashlib
import sys

import gymnasium
import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks import task_from_name, task_names
from colonnade.tasks.arm import DOMAINS, Dynamics, JacoTask, Look, Rules, extra
from colonnade.tasks.arm.renderer import Renderer
from colonnade.tasks.arm.scene import compile_scene
from colonnade.tasks.gymnasium_ids import jaco_id


def test_tasks_by_name():
    for name in DOMAINS:
        assert f"jaco/{name}" in task_names()
        task = task_from_name(f"jaco/{name}", steps=1000, view="both")
        assert task == JacoTask(name, steps=1000, view="both")
        assert task.spec.id == f"jaco/{name}"
        assert task.spec.outputs == 28
        assert task.spec.input_shapes == {"observation": (3, 64, 64), "proprioception": (18,)}
    changed = task_from_name("jaco/robot", look={"noise": 1.0}, rules={"max_steps": 5}, name="my")
    assert changed.spec.id == "my"
    assert (changed.look.noise, changed.rules.max_steps) == (1.0, 5)
    assert changed.look.arm == DOMAINS["robot"].look.arm
    assert len({hash(JacoTask(name)) for name in DOMAINS}) == len(DOMAINS)


def test_domains_look_different_but_for_the_conveyor():
    first = {}
    for name in DOMAINS:
        first[name] = JacoTask(name, rules={"conveyor_speed": 0}).make_vec(1).reset(seed=0)[0]
    for one in DOMAINS:
        for other in DOMAINS:
            same = {one, other} in ({"reach", "conveyor"}, {"robot-mild", "robot-conveyor"})
            if one < other and not same:
                assert (first[one] != first[other]).mean() > 0.05, (one, other)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: task_from_name("jaco/roboter"), "Unknown domain of the arm 'roboter'; did you "),
        (
            lambda: JacoTask(view="pixel"),
            "Unknown value for view of JacoTask: 'pixel'; did you mean 'pixels'?",
        ),
        (
            lambda: JacoTask(renderer="gl"),
            "renderer of JacoTask: 'gl'; choose one of: ",
        ),
        (lambda: JacoTask(look={"nose": 1}), "Unknown field of Look 'nose'; did you mean 'noise'?"),
        (lambda: JacoTask(look=3), "look of JacoTask must be an object; got 3."),
        (lambda: JacoTask(mjcf="none.xml"), "mjcf of JacoTask must be a file .* got 'none.xml'."),
        (lambda: JacoTask(steps=0), "steps of JacoTask must be a whole number at least 1; got 0."),
        (lambda: Look(target=(1, 0, 2)), "number in target of Look must be a number from 0 to 1; "),
        (lambda: Look(table=(1, 0)), r"table of Look must be three numbers; got \(1, 0\)."),
        (lambda: Look(camera=(0.32, 0, 1)), "camera of Look must not stand straight above or"),
        (lambda: Look(light=(0, 0, 0)), "light of Look must be a direction"),
        (lambda: Look(field_of_view=0), "field_of_view of Look must be a number from 1 to 170"),
        (lambda: Look(noise=-1), "noise of Look must be a number at least 0; got -1."),
        (lambda: Dynamics(lag=0), "lag of Dynamics must be a number above 0; got 0."),
        (lambda: Dynamics(latency=1.5), "latency of Dynamics must be a whole number at least 0"),
        (lambda: Dynamics(gains=(1, -1)), "Each number in gains of Dynamics must be a number abo"),
        (lambda: Rules(area=0.3), "area of Rules must be a list of 2; got 0.3."),
        (lambda: Rules(reversal=2), "reversal of Rules must be a number from 0 to 1; got 2."),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(make, said):
    with pytest.raises(UsageError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_without_mujoco_or_numba_the_extra_is_named(monkeypatch):
    task = JacoTask()
    assert task.spec.outputs == 28, "nothing is needed to describe it"
    for missing in ("numba", "mujoco"):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(UsageError, match=r"importing .* failed .*pip install colonnade\[arm\]"):
            task.make_vec(1)


def test_another_mujoco_is_named(monkeypatch):
    monkeypatch.setattr(extra.mujoco(), "__version__", "3.17.0")
    with pytest.raises(UsageError, match=r"needs MuJoCo 4.0, but version 3.17.0 is installed"):
        JacoTask().make_vec(1)


@pytest.mark.parametrize("renderer", ["rays", "mujoco"])
def test_a_graphics_library_that_mujoco_cannot_load_is_named(monkeypatch, renderer):
    def fails(name):  # as with MUJOCO_GL=osmesa where there is no OSMesa
        raise AttributeError("'NoneType' object has no attribute\n'glGetError'")

    monkeypatch.setattr(extra.importlib, "import_module", fails)
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    task = JacoTask(renderer=renderer)
    for work in (task.check_installed, lambda: task.make_vec(1)):
        with pytest.raises(
            UsageError, match=r"with MUJOCO_GL=osmesa \(.*attribute 'glGetE.*libosmesa6 .* is unset"
        ):
            work()


def test_without_graphics_debians_packages_are_named(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("no display\nat all")

    monkeypatch.setattr(extra.mujoco(), "Renderer", fails)
    with pytest.raises(
        UsageError, match=r"\(no display at all\).* install Debian's libegl1.*osmesa"
    ):
        Renderer(compile_scene(Look(), Dynamics(), 0.1))


def test_single_and_vector_ids_show_the_same():
    for domain, view in (("robot-conveyor", "both"), ("reach", "pixels")):
        options = {"view": view, "rules": {"max_steps": 7}}
        single = gymnasium.make(jaco_id(domain), render_mode="rgb_array", **options)
        vector = gymnasium.make_vec(jaco_id(domain), 1, **options)
        batch, alone = vector.reset(seed=2)[0], single.reset(seed=2)[0]
        for number in range(20):
            for a, b in zip(
                *(x.values() if view == "both" else [x] for x in (alone, batch)), strict=True
            ):
                np.testing.assert_array_equal(a, b[0])
            action = np.random.default_rng(number).integers(0, 3, 9)
            batch, rewards, *ends, _ = vector.step(action[None])
            alone, reward, terminated, truncated, _ = single.step(action)
            assert (reward, terminated, truncated) == (rewards[0], *(end[0] for end in ends))
            if terminated or truncated:
                alone = single.reset()[0]
        assert single.render().shape == (320, 320, 3)
        single.close()
        vector.close()


def test_a_picture_of_an_episodes_end_shows_its_end():
    options = {"view": "state", "render_mode": "rgb_array"}
    env = gymnasium.make(jaco_id("reach"), rules={"max_steps": 3}, **options)
    longer = gymnasium.make(jaco_id("reach"), **options)
    for one in (env, longer):
        one.reset(seed=2)
    action = np.ones(9, int)
    for number in range(3):
        truncated = env.step(action)[3]
        longer.step(action)
        assert truncated == (number == 2)
        np.testing.assert_array_equal(env.render(), longer.render())
    env.render()[:] = 0
    np.testing.assert_array_equal(env.render(), longer.render())
    env.reset()
    begun = env.render()
    assert (begun != longer.render()).any()
    env.step(np.zeros(9, int))
    assert (env.render() != longer.render()).any()
    for _ in range(2):
        env.step(action)
    env.unwrapped.step(action)  # on, without a reset
    vector = env.unwrapped._vector
    np.testing.assert_array_equal(env.render(), vector.render()[0])
    env.close()
    longer.close()


def test_ends_are_drawn_only_where_they_are_asked_for():
    vector = JacoTask(view="state", rules={"max_steps": 1}).make_vec(2)
    vector.reset(seed=0)
    assert "final_render" not in vector.step(np.zeros((2, 9), int))[4]
    vector.shows_ends = True
    assert [p.shape for p in vector.step(np.zeros((2, 9), int))[4]["final_render"]] == [
        (320, 320, 3)
    ] * 2
    vector.close()
    silent = gymnasium.make(jaco_id("reach"), view="state")
    assert not silent.unwrapped._vector.shows_ends
    silent.close()


def test_domains_are_as_they_were_fixed_before_any_transfer():
    """Results of transfers hang on these numbers: one of them changed is another domain."""
    numbers = repr(sorted(DOMAINS.items())).encode()
    assert hashlib.sha256(numbers).hexdigest()[:16] == "5fb881bfdff1e30d"
