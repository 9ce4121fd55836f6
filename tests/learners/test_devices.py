"""Where learners compute, and what becomes of a run that goes on elsewhere; no GPU is needed."""

import copy

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.experiments.execution.needs import needs
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.learners import A2C, A3C, DQN, PPO
from colonnade.learners.compute import Compute, device_for
from colonnade.methods import Progressive, Scratch
from colonnade.methods.consolidation import Consolidation
from colonnade.networks import mlp_column
from colonnade.seeding import globals_state, load_globals_state, restore
from colonnade.tasks import MiniPongTask, TMazeTask
from colonnade.training import Interrupted, MemoryRecorder, TrainingOptions, train_sequence


@pytest.mark.parametrize("learner", [A2C(workers=2), PPO(workers=2), A3C(workers=1), A3C()])
def test_workers_are_on_the_processor_though_there_is_a_gpu(learner, monkeypatch):
    assert device_for(learner, "auto") == device_for(learner, "cpu") == "cpu"
    with pytest.raises(UsageError, match="workers share the memory of the processor"):
        device_for(learner, "cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    method = Scratch(mlp_column((4,)))
    options = TrainingOptions(num_envs=4)
    assert options.device == "auto"
    train_sequence([TMazeTask(2, steps=80)], method, learner, options=options)


@pytest.mark.parametrize("device", ["tpu", "", "cuda:x", "vulkan", "hpu"])
def test_a_device_that_is_not_there_is_refused_in_a_short_sentence(device):
    with pytest.raises(UsageError, match=r"can't be used \(.*\); try 'cpu'\.$") as raised:
        Compute.choose(TMazeTask(2, steps=80).spec, device)
    assert len(str(raised.value)) < 200


def test_workers_on_a_device_of_no_name_are_refused_too():
    with pytest.raises(UsageError, match=r"'tpu' can't be used \(PyTorch knows no device"):
        device_for(A3C(), "tpu")


def test_others_are_wherever_there_is_room():
    for learner in (A2C(), PPO(), DQN()):
        assert device_for(learner, "auto") == "auto"
        assert device_for(learner, "cuda:1") == "cuda:1"


def test_a_run_of_workers_asks_for_no_gpu_and_is_refused_one_before_it_begins():
    tasks = (TaskBudget("t-maze/2", 40),)
    plain = RunSpec("x", "scratch", tasks, "a2c", "default")
    asynchronous = RunSpec("x", "scratch", tasks, "a3c", "default")
    assert (needs(plain).gpu, needs(asynchronous).gpu) == (True, False)
    asked = RunSpec(
        "x", "scratch", tasks, "a3c", "default", training_options={"device": "cuda:0"}
    )  # fmt: skip
    with pytest.raises(UsageError, match="A3C's workers share the memory"):
        Rehearsal().check(asked)


def test_a_stream_of_another_device_goes_on_as_one_of_its_own():
    own, again = torch.Generator().manual_seed(1), torch.Generator()
    assert restore(again, own.get_state())
    assert torch.equal(torch.rand(3, generator=again), torch.rand(3, generator=own))
    foreign = torch.arange(16, dtype=torch.uint8)  # as long as a GPU's
    assert not restore(own, foreign)
    assert not restore(again, foreign)
    drawn = torch.rand(3, generator=own)
    assert torch.equal(torch.rand(3, generator=again), drawn)
    restore(again, foreign + 1)
    assert not torch.equal(torch.rand(3, generator=again), drawn)


class Once(MemoryRecorder):
    """Stops at the first checkpoint within the second task, which it keeps."""

    kept = None
    going_on = False

    def save_checkpoint(self, tensors, meta):
        if not self.going_on and self.kept is None and meta["visit"] == 1 and not meta["finished"]:
            self.kept = {k: v.clone() for k, v in tensors.items()}, copy.deepcopy(meta)

    def load_checkpoint(self):
        return self.kept

    def should_stop(self):
        return self.kept is not None and not self.going_on

    def rewind(self, rows):
        del self.history[rows:]


@pytest.mark.parametrize("learner", [
    A2C(rollout_steps=16),
    DQN(replay=400, warm_up=16, explore_steps=50, batch_size=8, update_every=8, target_every=64),
])  # fmt: skip
def test_a_run_goes_on_in_another_precision_and_with_another_devices_stream(learner):
    recorder = Once()

    def learn(precision):
        tasks = [MiniPongTask("pong", steps=128), MiniPongTask("zoom", steps=256)]
        options = TrainingOptions(
            num_envs=4, segment_steps=128, curve_steps=128, device="cpu", precision=precision
        )
        train_sequence(tasks, Progressive(), learner, options=options, recorder=recorder)

    with pytest.raises(Interrupted):
        learn("bfloat16")
    tensors = recorder.kept[0]
    (name,) = (name for name in tensors if name.endswith("/actions"))
    tensors[name] = torch.arange(16, dtype=torch.uint8)
    recorder.going_on = True
    learn("float32")
    assert recorder.history[-1]["step"] == 256
    assert any("another kind of device" in note for note in recorder.notes)


def test_what_is_held_follows_the_module(monkeypatch):
    module = torch.nn.Linear(2, 1)
    kept = Consolidation(module, lam=1.0, anchors="latest")
    kept.hold({name: torch.ones_like(value) for name, value in module.named_parameters()})
    monkeypatch.setattr(kept, "_check_held", lambda *_: None)  # it looks at numbers
    moved = module.to("meta")  # which stands for a GPU, and has none
    kept.hold({name: torch.ones_like(value) for name, value in moved.named_parameters()})
    assert {value.device.type for value in kept.quadratic.curvature.values()} == {"meta"}


def test_the_streams_of_all_gpus_are_kept(monkeypatch):
    states = [torch.full((16,), device, dtype=torch.uint8) for device in (1, 2, 3)]
    brought_back = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # one fewer than there were
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: brought_back.update({device: state})
    )
    load_globals_state(globals_state())
    assert brought_back.keys() == {0, 1}
    assert all(torch.equal(brought_back[device], states[device]) for device in (0, 1))
