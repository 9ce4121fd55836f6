"""Environments in processes of their own, which answer, end with this process, or are ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from gymnasium.vector import AsyncVectorEnv
from gymnasium.vector.async_vector_env import AsyncState

from colonnade.errors import HungError
from colonnade.tasks.gym.failures import EnvironmentFailure
from colonnade.tasks.gym.probing import AnyEnv
from colonnade.watching import await_answer, end_with, stays

_ENDING = 0.2
"""Seconds for a process whose line is closed to have ended."""


class EnvProcesses(AsyncVectorEnv):
    """Gymnasium's environments in processes; one that never answers is named and ended.

    Args:
        name: What messages call the environment.
        makers: Make one environment each.
        **options: As of `AsyncVectorEnv`.
    """

    def __init__(self, name: str, makers: Sequence[Callable[[], AnyEnv]], **options: Any) -> None:
        self._name = name
        self._hung = False
        owner, kernel = os.getpid(), stays()
        super().__init__([_Bound(make, owner, kernel) for make in makers], **options)

    def step_wait(self, timeout: float | None = None) -> Any:
        """Wait for all steps; see `AsyncVectorEnv`.

        Raises:
            HungError: A process gave no answer within the limit.
            EnvironmentFailure: A process ended, or its environment raised an error.
        """
        with self._deaths():
            self._await("step")
            return super().step_wait(timeout)

    def reset_wait(self, timeout: float | None = None) -> Any:
        """Wait for all resets, as `step_wait` does for steps."""
        with self._deaths():
            self._await("reset")
            return super().reset_wait(timeout)

    def call_wait(self, timeout: float | None = None) -> Any:
        """Wait for what was called, as `step_wait` does for steps."""
        with self._deaths():
            self._await("call")
            return super().call_wait(timeout)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """End the processes; at once if one of them hangs."""
        if not self._hung:
            super().close_extras(timeout, terminate)
            return
        for process, pipe in zip(self.processes, self.parent_pipes, strict=True):
            process.kill()
            process.join()
            with suppress(OSError):
                pipe.close()

    @contextmanager
    def _deaths(self) -> Iterator[None]:
        """Say how a process ended that will not answer any more, and end the others."""
        try:
            yield
        except (EOFError, ConnectionError) as error:
            for process in self.processes:
                process.join(_ENDING)
            codes = [(n, p.exitcode) for n, p in enumerate(self.processes) if p.exitcode]
            ended = ", ".join(
                f"environment {n} {f'by signal {-code}' if code < 0 else f'with status {code}'}"
                for n, code in codes
            )
            self._hung, self._state = True, AsyncState.DEFAULT
            self.close()
            raise EnvironmentFailure(
                f"A process of {self._name!r} ended while its answer was waited for "
                f"({ended or 'it is not known how'}), as where an environment aborts, calls "
                "os._exit or runs out of memory; mend it and give the same command again, which "
                "goes on from the last checkpoint."
            ) from error
        except Exception:
            if self._state is not AsyncState.DEFAULT:  # answers were read, none will come
                self._hung, self._state = True, AsyncState.DEFAULT
            raise

    def _await(self, what: str) -> None:
        for place, pipe in enumerate(self.parent_pipes):
            process = self.processes[place].pid

            def named(place: int = place, process: int | None = process) -> str:
                return f"Environment {place} of {self._name} (process {process}), in its {what},"

            try:
                await_answer(pipe.poll, named)
            except HungError:
                self._hung, self._state = True, AsyncState.DEFAULT
                self.close()
                raise


class _Bound:
    """Makes an environment, in a process that then ends with its parent."""

    def __init__(self, make: Callable[[], AnyEnv], owner: int, kernel: bool) -> None:
        self._make, self._owner, self._kernel = make, owner, kernel

    def __call__(self) -> AnyEnv:
        if os.getpid() != self._owner:  # there one is made to be looked at
            end_with(self._owner, thread=self._kernel)
        return self._make()
