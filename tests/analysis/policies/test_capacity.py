import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.analysis.policies.capacity import mean_spectrum, most_sensitive, used_share
from colonnade.errors import UsageError


def test_spectra_by_hand():
    assert mean_spectrum([[1, 3]], points=3) == pytest.approx([0.75, 0.5, 0.25])
    both = mean_spectrum([[1, 3], [0, 0, 5], [0, 0]], points=3)
    assert both == pytest.approx([(0.75 + 1) / 2, (0.5 + 0) / 2, 0.25 / 2])
    three = mean_spectrum([[1, 3], [0, 0, 5], [1, 0]], points=3)
    assert three == pytest.approx([(0.75 + 1 + 1) / 3, (0.5 + 0 + 0.5) / 3, 0.25 / 3])
    assert np.isnan(mean_spectrum([[0, 0]], points=3)).all()


def test_the_fewest_features_by_hand():
    assert most_sensitive([1, 6, 0, 3], 0.9).tolist() == [1, 3]
    assert most_sensitive([1, 6, 0, 3], 0.95).tolist() == [0, 1, 3]
    assert most_sensitive([1, 6, 0, 3], 1).tolist() == [0, 1, 3]
    assert most_sensitive([0, 0], 0.5).tolist() == []
    assert used_share([1, 6, 0, 3], 0.5) == 0.25
    with pytest.raises(UsageError, match="above 0 and at most 1, but 95 came"):
        used_share([1], 95)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.floats(0.01, 1))
def test_no_smaller_set_holds_as_much(values, keep):
    chosen = most_sensitive(values, keep)
    total, held = sum(values), sum(values[i] for i in chosen)
    assert held >= keep * total - 1e-9
    best_of_one_less = sum(sorted(values, reverse=True)[: max(0, len(chosen) - 1)])
    if total:
        assert best_of_one_less < keep * total + 1e-9
    assert min((values[i] for i in chosen), default=1) > 0
