"""Pictures of what agents see, beside the pixels themselves."""

import numpy as np

from colonnade.experiments.trained.films.camera import FilmedTask
from colonnade.tasks import task_from_name
from colonnade.tasks.frames import film_strip, frame_of


def test_a_stack_is_pictured_by_its_newest_frame() -> None:
    stack = np.random.default_rng(0).integers(0, 256, (6, 4, 5), np.uint8)
    grey, colour = frame_of(stack), frame_of(stack, colour=True)
    assert grey is not None
    assert colour is not None
    for row, column in np.ndindex(4, 5):
        assert grey[row, column].tolist() == [stack[5, row, column]] * 3
        assert colour[row, column].tolist() == [stack[i, row, column] for i in (3, 4, 5)]
    four = frame_of(stack[:4], colour=True)
    assert four is not None
    assert (four[..., 0] == stack[3]).all()


def test_mazes_in_colour_are_pictured_in_colour_however_deep_their_stacks() -> None:
    one, three = (
        film_strip(task_from_name("labyrinth/track-1", stack=stack), 0) for stack in (1, 3)
    )
    assert one is not None
    assert three is not None
    np.testing.assert_array_equal(one, three)
    assert len({tuple(pixel) for pixel in one.reshape(-1, 3)}) > 100


def test_a_film_of_stacked_colours_is_in_colour() -> None:
    shown = []
    for stack in (1, 3):
        stage = FilmedTask(task_from_name("labyrinth/track-1", stack=stack), 1)
        stage.make_vec(1).reset(seed=0)
        shown.append(stage.frames[0])
    np.testing.assert_array_equal(*shown)
    assert np.ptp(shown[0].astype(int), axis=-1).max() > 20
