"""What environments show, on its way to networks."""

import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.learners.acting.observed import completed


def test_final_observations_are_asked_for_in_a_sentence():
    seen = np.arange(6.0).reshape(3, 2)
    last = np.array([None, np.array([7.0, 8.0]), None], object)
    np.testing.assert_array_equal(completed({"final_obs": last}, seen), [[0, 1], [7, 8], [4, 5]])
    assert completed({"final_obs": seen}, seen) is seen
    with pytest.raises(UsageError, match=r"gave no info\['final_obs'\], the last observation"):
        completed({"final_observation": last}, seen)
