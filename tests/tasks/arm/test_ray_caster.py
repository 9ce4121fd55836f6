"""Pictures against MuJoCo's renderer, and against its rays, one a pixel."""

import dataclasses
import sys

import mujoco
import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks.arm import DOMAINS, Dynamics, JacoTask, Look
from colonnade.tasks.arm.jaco import HOME, SPREAD
from colonnade.tasks.arm.ray_caster import RayCaster
from colonnade.tasks.arm.renderer import Renderer
from colonnade.tasks.arm.scene import camera_frame, compile_scene


def places(scene, count, seed=0):
    """Arms and targets anywhere about where episodes begin."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        data = mujoco.MjData(scene.model)
        data.qpos[scene.joints[:6]] = np.radians(
            HOME + 2 * np.array(SPREAD) * rng.uniform(-1, 1, 6)
        )
        data.qpos[scene.joints[6:]] = rng.uniform(0.15, 1.35, 3)
        data.mocap_pos[0, :2] = rng.uniform((0.25, -0.2), (0.55, 0.2))
        mujoco.mj_fwdPosition(scene.model, data)
        found.append(data)
    return found


def cast(caster, scene, datas, **options):
    positions = np.stack([data.geom_xpos[scene.drawn] for data in datas])
    frames = np.stack([data.geom_xmat[scene.drawn] for data in datas])
    return caster.draw(positions, frames, **options)


def slowly(scene, look, data, height, width):
    """One of MuJoCo's own rays through each pixel's middle, lit as the law says."""
    picture = np.empty((height, width, 3))
    right, up, back = camera_frame(look)
    half = np.tan(np.radians(look.field_of_view) / 2)
    light = np.array(look.light) / np.linalg.norm(look.light)
    for row in range(height):
        for column in range(width):
            x = ((column + 0.5) / width * 2 - 1) * half * width / height
            y = (1 - (row + 0.5) / height * 2) * half
            geom, normal = np.zeros(1, np.int32), np.zeros(3)
            ray = x * right + y * up - back
            found = mujoco.mj_ray(
                scene.model, data, np.array(look.camera), ray, None, 1, -1, geom, normal
            )
            colour = np.array(look.background)
            if found >= 0:
                lit = look.ambient + look.diffuse * max(0.0, -normal @ light)
                colour = np.minimum(1, scene.model.geom_rgba[geom[0], :3] * lit)
            picture[row, column] = np.floor(255 * colour + 0.5)
    return picture.transpose(2, 0, 1)


@pytest.mark.parametrize("name", ["reach", "robot", "perspective-significant"])
def test_pictures_are_those_of_mujocos_rays(name):
    look = JacoTask(name, look={"noise": 0.0}).look
    scene = compile_scene(look, Dynamics(), 0.1)
    datas = places(scene, 2)
    pictures = cast(RayCaster(scene, look, 30, 40), scene, datas)
    for picture, data in zip(pictures, datas, strict=True):
        expected = slowly(scene, look, data, 30, 40)
        wrong = (picture != expected).any(0)
        assert wrong.mean() < 0.003, "but for rays along an edge, every pixel is the same"
        assert len(np.unique(expected.reshape(3, -1), axis=1).T) > 8


@pytest.mark.gl
@pytest.mark.parametrize("name", DOMAINS)
def test_pictures_are_those_of_mujocos_renderer(name):
    look = JacoTask(name, look={"noise": 0.0}).look
    scene = compile_scene(look, Dynamics(), 0.1)
    datas = places(scene, 8)
    renderer = Renderer(scene)
    drawn = np.stack([renderer.draw(data) for data in datas])
    renderer.close()
    apart = np.abs(drawn.astype(int) - cast(RayCaster(scene, look), scene, datas))
    assert apart.mean() < 0.2, "grey levels of 255"
    assert (apart > 1).any(1).mean() < 0.005, "pixels that differ by more than rounding"


@pytest.mark.gl
def test_the_environment_draws_with_mujocos_renderer_when_asked():
    views = []
    for renderer in ("rays", "mujoco"):
        env = JacoTask(renderer=renderer).make_vec(3)
        views.append([env.reset(seed=0)[0]])
        for _ in range(3):
            views[-1].append(env.step(np.ones((3, 9), int))[0])
        film = env.render()
        env.close()
        assert [picture.shape for picture in film] == [(320, 320, 3)] * 3
        views[-1].append(np.stack(film))
    for one, other in zip(*views, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 0.2


@pytest.mark.gl
def test_mujocos_pictures_have_the_same_noise():
    """The seeds are the same, and so the noise, but for where it meets other levels."""
    views = {}
    for renderer in ("rays", "mujoco"):
        for noise in (0.0, 8.0):
            env = JacoTask(view="both", renderer=renderer, look={"noise": noise}).make_vec(3)
            env.reset(seed=0)
            env._age[1] = 49
            seen, *_, info = env.step(np.ones((3, 9), int))
            views[renderer, noise] = np.stack(
                [seen["observation"], info["final_obs"]["observation"]]
            )
            env.close()
    for renderer in ("rays", "mujoco"):
        errors = views[renderer, 8.0].astype(int)[:, 0] - views[renderer, 0.0][:, 0]
        assert errors.std() == pytest.approx(8.0, rel=0.05)
    assert np.abs(views["rays", 8.0].astype(int) - views["mujoco", 8.0]).mean() < 0.2


@pytest.mark.gl
def test_noise_on_mujocos_pictures_needs_numba(monkeypatch):
    noisy = JacoTask(renderer="mujoco", look={"noise": 1.0})
    monkeypatch.setitem(sys.modules, "numba", None)
    for work in (noisy.check_installed, lambda: noisy.make_vec(1)):
        with pytest.raises(UsageError, match="importing numba failed"):
            work()
    JacoTask(renderer="mujoco").check_installed()


def test_noise_has_the_deviation_asked_for_and_follows_from_its_seed():
    look = Look(noise=6.0, table=(0.5, 0.5, 0.5))
    scene = compile_scene(look, Dynamics(), 0.1)
    data, caster = places(scene, 1)[0], RayCaster(scene, look)
    clean = cast(caster, scene, [data])
    seeds = np.arange(2, dtype=np.uint64)
    noisy = cast(caster, scene, [data, data], noise=seeds)
    errors = noisy.astype(float) - clean
    assert abs(errors.mean()) < 0.15
    assert errors.std() == pytest.approx(np.hypot(6.0, 1 / np.sqrt(12)), rel=0.02)
    assert abs(np.corrcoef(errors[0].ravel(), errors[1].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(errors[0, :, :, 1:].ravel(), errors[0, :, :, :-1].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(noisy[1], cast(caster, scene, [data], noise=seeds[1:])[0])


def test_threads_change_nothing():
    scene = compile_scene(Look(), Dynamics(), 0.1)
    datas = places(scene, 13)
    one, three = (RayCaster(scene, Look(), threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(cast(one, scene, datas), cast(three, scene, datas))
    three.close()


def test_boxes_are_drawn_about_their_centres():
    scene = compile_scene(Look(), Dynamics(), 0.1)
    data = places(scene, 1)[0]
    offsets = np.random.default_rng(0).uniform(-0.1, 0.1, scene.centres.shape)
    moved = dataclasses.replace(scene, centres=scene.centres + offsets)
    positions, frames = data.geom_xpos[scene.drawn], data.geom_xmat[scene.drawn]
    moves = np.einsum("gij,gj->gi", frames.reshape(-1, 3, 3), offsets)
    plain = RayCaster(scene, Look()).draw(positions[None], frames[None])
    other = RayCaster(moved, Look()).draw((positions - moves)[None], frames[None])
    assert (plain != other).mean() < 0.001, "but for rounding"


def test_a_box_around_the_camera_hides_nothing_wrongly():
    look = Look(camera=(0.15, 0.01, 0.6), looks_at=(0.4, 0.0, 0.0))  # among the arm's links
    scene = compile_scene(look, Dynamics(), 0.1)
    data = places(scene, 1)[0]
    expected = slowly(scene, look, data, 24, 24)
    got = cast(RayCaster(scene, look, 24, 24), scene, [data])[0]
    assert (got != expected).any(0).mean() < 0.01
