"""The contracts that a part of one's own must keep, as functions for its tests to call.

    from colonnade.testing import check_method, check_task

    def test_my_task():
        check_task(MyTask())

Each raises a `ContractError` that says what was expected and what came. Colonnade's own parts are
tested by the same functions.
"""

from colonnade.testing.columns import check_column
from colonnade.testing.contract import ContractError
from colonnade.testing.learners import check_learner
from colonnade.testing.methods import check_method
from colonnade.testing.tasks import check_task

__all__ = ["ContractError", "check_column", "check_learner", "check_method", "check_task"]
