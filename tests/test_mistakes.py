"""A hundred mistakes in the Python API: one sentence each, before any work is spent."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import colonnade
from colonnade.analysis import continual
from colonnade.analysis.intervals import enough_runs, mean_interval
from colonnade.analysis.overlap import fisher_overlap
from colonnade.analysis.transfer import top_k_mean
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.search_space import Choice, LogUniform, SearchSpace, parse_ranges
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.learners import A2C, A3C, DQN, PPO, Supervised, learner_from_name
from colonnade.methods import EWC, Finetune, PathNet, Progressive, Scratch, method_from_name
from colonnade.networks import (
    ColumnSpec,
    Conv,
    Dense,
    ModularNetwork,
    ProgressiveNetwork,
    column_preset,
    mini_modules,
    mlp_column,
    tiny_column,
)
from colonnade.ops import parameter_fisher
from colonnade.recognition import ForgetMeNot
from colonnade.tasks import (
    AtariTask,
    GymTask,
    JacoTask,
    LabyrinthTask,
    MiniPongTask,
    PongSoupTask,
    TMazeTask,
    task_from_name,
)
from colonnade.testing import check_column, check_method, check_task
from colonnade.training import (
    TrainingOptions,
    Visit,
    evaluate,
    in_random_order,
    train_sequence,
)

pong = MiniPongTask("pong", steps=64)
good: dict[str, Any] = {
    "label": "a",
    "method": "scratch",
    "tasks": (TaskBudget("mini-pong/pong", 10),),
    "learner": "a2c",
    "column": "tiny",
}


def train(*arguments: Any, **options: Any) -> None:
    quick = TrainingOptions(num_envs=2, segment_steps=32, curve_steps=32)
    train_sequence(*arguments, **{"options": quick, **options})


MISTAKES = [
    line.split("  ->  ")
    for line in r"""
GymTask(3)  ->  id of GymTask must be a Gymnasium id, a function that makes an environment, or its name
GymTask("math:pi")  ->  'math:pi' should name a function that makes an environment, but names 3.14159
GymTask("math:pie")  ->  'math:pie' is neither an id that the module 'math' registers nor a function in it
GymTask(lambda: None).spec  ->  'tests.test_mistakes:<lambda>' should make a gymnasium.Env, but returned None
GymTask("CartPole-v1", normalize_observations=1)  ->  normalize_observations of GymTask must be True or False; got 1
GymTask("CartPole-v1", normalize_rewards=2)  ->  normalize_rewards of GymTask must be a number from 0 to 1; got 2
GymTask("CartPole-v1", action_levels=3).spec  ->  action_levels=3 are levels of numbers with bounds, but CartPole-v1 has actions Discrete(2)
train([GymTask("CartPole-v1", normalize_observations=True)], Scratch(), A3C())  ->  Task 'gym/CartPole-v1' is normalised by statistics of all that was seen of it, but workers
ColumnSpec(())  ->  A column needs at least one stage, but its `stages` are empty.
ColumnSpec(3)  ->  stages of ColumnSpec must be a list; got 3.
ColumnSpec((Dense(0),))  ->  units of Dense must be a whole number at least 1; got 0.
ColumnSpec((Dense(-1),))  ->  units of Dense must be a whole number at least 1; got -1.
ColumnSpec((Dense(2.5),))  ->  units of Dense must be a whole number at least 1; got 2.5.
ColumnSpec((Dense("8"),))  ->  units of Dense must be a whole number at least 1; got '8'.
ColumnSpec((Dense(8),),laterals="adaptor")  ->  Unknown value for laterals of ColumnSpec: 'adaptor'; did you mean 'adapter'?
ColumnSpec((Dense(8),),alpha=float("nan"))  ->  alpha of ColumnSpec must be a number at least 0; got nan.
ColumnSpec((Dense(8),),alpha="a")  ->  alpha of ColumnSpec must be a number at least 0; got 'a'.
ColumnSpec((Dense(8),),alpha=-1)  ->  alpha of ColumnSpec must be a number at least 0; got -1.
ColumnSpec((Conv(8,0,1),))  ->  kernel of Conv must be a whole number at least 1; got 0.
ColumnSpec((Conv(8,3,0),))  ->  stride of Conv must be a whole number at least 1; got 0.
ColumnSpec((Conv(0,3,1),))  ->  maps of Conv must be a whole number at least 1; got 0.
ColumnSpec(("dense",))  ->  stages[0] of ColumnSpec must be an object with a "kind" (conv, dense, lstm, join,
ColumnSpec((Dense(8),), input=3)  ->  input of ColumnSpec must be a text; got 3.
ColumnSpec.from_dict({"stages":[{"kind":"dens","units":3}]})  ->  Unknown kind of stages[0] of ColumnSpec: 'dens'; did you mean 'dense'?
ColumnSpec.from_dict({"stages":3})  ->  stages of ColumnSpec must be a list; got 3.
ColumnSpec.from_dict([])  ->  ColumnSpec must be a JSON object; got [].
ProgressiveNetwork().add_column(ColumnSpec((Dense(10**9),)),{"observation":(4,)},2)  ->  Column 0, stage 0 (Dense): A layer would have 1,000,000,000 x 4 weights, 4,000,000,000
ProgressiveNetwork().add_column(ColumnSpec((Conv(8,3,1),)),{"observation":(4,)},2)  ->  Column 0, stage 0 (Conv): a convolution reads maps of shape (C, H, W), but its input
ProgressiveNetwork().add_column(tiny_column(),{"observation":(4,)},2)  ->  Column 0, stage 0 (Conv): a convolution reads maps of shape (C, H, W), but its input
ProgressiveNetwork().add_column(mlp_column(),{},2)  ->  The task has the inputs none; say with ColumnSpec(input=...) which one the column
ProgressiveNetwork().add_column(mlp_column(),{"observation":(4,)},0)  ->  A column's output width must be a whole number at least 1; got 0.
ProgressiveNetwork().add_column(mlp_column(),{"observation":(4,)},2.5)  ->  A column's output width must be a whole number at least 1; got 2.5.
ProgressiveNetwork().add_column(mlp_column(),(3,),outputs=2)  ->  input_shapes of add_column must be shapes by name, as in {'observation': (4, 84, 84)}; got
ProgressiveNetwork().add_column(Dense(3),{"observation":(4,)},2)  ->  spec of add_column must be a ColumnSpec, such as column_preset('tiny'), with modules
ModularNetwork(mini_modules(),(3,))  ->  input_shapes of ModularNetwork must be shapes by name, as in {'observation': (4, 84, 84)}; got
ModularNetwork(3,{"observation":(4,)})  ->  spec of ModularNetwork must be a ModularSpec, such as mini_modules(); got 3, which
check_column(Dense(3),{"observation":(4,)})  ->  spec of add_column must be a ColumnSpec, such as column_preset('tiny'), with modules
check_column(mlp_column(),(3,))  ->  input_shapes of add_column must be shapes by name, as in {'observation': (4, 84, 84)}; got
ProgressiveNetwork().column(0)  ->  There is no column 0; the network has 0, counted from 0, and `add_column` adds one.
ProgressiveNetwork().newest  ->  There is no column -1; the network has 0, counted from 0, and `add_column` adds one.
ProgressiveNetwork().view(3)  ->  There is no column 3; the network has 0, counted from 0, and `add_column` adds one.
ProgressiveNetwork()({"observation":torch.zeros(1,4)})  ->  There is no column -1; the network has 0, counted from 0, and `add_column` adds one.
ProgressiveNetwork.from_spec({})  ->  A network's spec should be as `spec_dict` writes it, with 'columns' as list, but came
ProgressiveNetwork.from_spec({"columns":[3]})  ->  A network's spec should be as `spec_dict` writes it, with 'input_shapes' as dict, but
column_preset("tinny")  ->  Unknown column preset 'tinny'; did you mean 'tiny'?
mlp_column((0,))  ->  units of Dense must be a whole number at least 1; got 0.
mlp_column("abc")  ->  units of Dense must be a whole number at least 1; got 'a'.
EWC(lam=-1)  ->  lam, the penalty's weight, must be 0 or more; got -1.
EWC(lam=float("nan"))  ->  lam, the penalty's weight, must be 0 or more; got nan.
EWC(samples=0)  ->  The Fisher needs at least 1 sample; got samples=0.
EWC(kind="emp")  ->  Unknown kind of Fisher 'emp'; did you mean 'empirical'?
EWC(exclude=["haed.*"])  ->  Unknown part to exclude 'haed.*'; did you mean 'head'?
EWC(column=3)  ->  column of a method must be a ColumnSpec, such as column_preset('tiny'), or a function
Progressive(column="nosuch")  ->  column of a method must be a ColumnSpec, such as column_preset('tiny'), or a function
Progressive(column=3)  ->  column of a method must be a ColumnSpec, such as column_preset('tiny'), or a function
Progressive(torch.nn.Linear(3,2))  ->  column of a method must be a ColumnSpec, such as column_preset('tiny'), or a function of a task and an index that gives one; got Linear(in_features=3, out_features=2, bias=True); put a module of your own into a Custom stage of one.
Progressive(torch.nn.Linear)  ->  column of a method must be a ColumnSpec, such as column_preset('tiny'), or a function of a task and an index that gives one; got <class
Progressive(lambda task, index: "mlp").begin_task(pong.spec)  ->  What column of a method gives for task 'mini-pong/pong' must be a ColumnSpec, such as
PathNet(population=1)  ->  A population of 1 has nobody to compete with; use at least 2 genotypes.
PathNet(network=torch.nn.Linear(3,2))  ->  network of a path method must be a ModularSpec, such as mini_modules(), or a function of a task that gives one; got Linear(in_features=3, out_features=2, bias=True); put modules of your own into a Custom layer of one.
PathNet(network=3)  ->  network of a path method must be a ModularSpec, such as mini_modules(), or a function
method_from_name("ewcc")  ->  Unknown method 'ewcc'; did you mean 'ewc'?
method_from_name("ewc",lamb=3)  ->  Unknown ewc option 'lamb'; did you mean 'lam'?
method_from_name(3)  ->  The name of a method must be a text; got 3.
Finetune().network_for("x")  ->  No column plays task 'x'; tasks begun so far: none yet.
A2C(learning_rate=-1)  ->  learning_rate of A2C must be a number above 0; got -1.
A2C(learning_rate="1")  ->  learning_rate of A2C must be a number above 0; got '1'.
A2C(gamma=2)  ->  gamma of A2C must be a number from 0 to 1; got 2.
A2C(workers=0)  ->  workers of A2C must be a whole number at least 1; got 0.
A2C(rollout_steps=0)  ->  rollout_steps of A2C must be a whole number at least 1; got 0.
A3C(workers=2.5)  ->  workers of A3C must be a whole number at least 1; got 2.5.
PPO(clip=0)  ->  clip of PPO must be a number above 0; got 0.
PPO(epochs=0)  ->  epochs of PPO must be a whole number at least 1; got 0.
PPO(minibatches=-1)  ->  minibatches of PPO must be a whole number at least 1; got -1.
PPO(clip_norm=0)  ->  clip_norm of PPO must be a number above 0; got 0.
DQN(batch_size=0)  ->  batch_size of DQN must be a whole number at least 1; got 0.
Supervised(batch_size=0)  ->  batch_size of Supervised must be a whole number at least 1; got 0.
Supervised(optimizer="adamm")  ->  Unknown value for optimizer of Supervised: 'adamm'; did you mean 'adam'?
learner_from_name("ppoo")  ->  Unknown learner 'ppoo'; did you mean 'ppo'?
learner_from_name("ppo",learning_rat=1)  ->  Unknown field of PPO: 'learning_rat'; did you mean 'learning_rate'?
learner_from_name("ppo",learning_rate="x")  ->  learning_rate of PPO must be a number; got 'x'.
GymTask("CartPol-v1")  ->  Unknown Gymnasium id 'CartPol-v1'; did you mean 'CartPole-v1'? An id of another package
GymTask("CartPole-v1",steps=0)  ->  steps of GymTask must be a whole number at least 1; got 0.
GymTask("CartPole-v1",steps=2.5)  ->  steps of GymTask must be a whole number at least 1; got 2.5.
GymTask("CartPole-v1",reward_clip=-1)  ->  reward_clip of GymTask must be a number above 0; got -1.
GymTask("CartPole-v1",options=3)  ->  options of GymTask must be an object; got 3.
GymTask("CartPole-v1",options={"a":1}).spec  ->  CartPole-v1 does not take the options {"a": 1}: CartPoleEnv.__init__() got an
GymTask("CartPole-v1",options={"a":object()}).spec  ->  options of GymTask must be plain JSON values; got {'a': <object object at
GymTask("CartPole-v1",name="")  ->  The name of a task must be a line of text, such as 'long poles', not ''.
GymTask("CartPole-v1").make_vec(0)  ->  num_envs of make_vec must be a whole number at least 1; got 0.
GymTask("CartPole-v1").make_vec(-1)  ->  num_envs of make_vec must be a whole number at least 1; got -1.
GymTask("CartPole-v1").make_vec("2")  ->  num_envs of make_vec must be a whole number at least 1; got '2'.
AtariTask("pongg")  ->  Unknown Atari game 'pongg'; did you mean 'pong'?
AtariTask("pong",frame_skip=0)  ->  frame_skip of AtariTask must be a whole number at least 1; got 0.
AtariTask("pong",steps=-1)  ->  steps of AtariTask must be a whole number at least 1; got -1.
MiniPongTask("zom")  ->  Unknown Pong variant 'zom'; did you mean 'zoom'?
MiniPongTask("pong",steps=0)  ->  steps of MiniPongTask must be a whole number at least 1; got 0.
PongSoupTask("zom")  ->  Unknown Pong variant 'zom'; did you mean 'zoom'?
TMazeTask(0)  ->  length of TMazeTask must be a whole number at least 1; got 0.
TMazeTask("x")  ->  A T-maze needs a corridor of 1 step or more, as in 't-maze/10'; got 'x'.
LabyrinthTask("maze-q")  ->  Unknown level of Labyrinth 'maze-q'; did you mean 'maze-y'?
LabyrinthTask("nosuch.json")  ->  The level file 'nosuch.json' cannot be read: No such file or directory.
JacoTask("reech")  ->  Unknown domain of the arm 'reech'; did you mean 'reach'?
task_from_name("nosuch")  ->  Unknown task 'nosuch'; of
task_from_name("gym/")  ->  Unknown Gymnasium id ''; of
task_from_name("mini-pong")  ->  Unknown Pong variant ''; choose one of: black, h-flip, noisy, pong, v-flip, vh-flip,
task_from_name("mini-pong/")  ->  Unknown Pong variant ''; choose one of: black, h-flip, noisy, pong, v-flip, vh-flip,
task_from_name("t-maze/abc")  ->  A T-maze needs a corridor of 1 step or more, as in 't-maze/10'; got 'abc'.
task_from_name("digits/pair-1-1")  ->  Labels of digits are different numbers from 0 to 9; got 1, 1.
task_from_name("digits/pair-1-99")  ->  Labels of digits are different numbers from 0 to 9; got 1, 99.
task_from_name("permuted-digits/-1")  ->  Unknown task 'permuted-digits/-1'; names are like permuted-digits/0,
task_from_name("mini-pong/pong",stepz=3)  ->  Unknown option of 'mini-pong' tasks 'stepz'; did you mean 'steps'?
task_from_name(3)  ->  The name of a task must be a text; got 3.
task_from_name("")  ->  Unknown task ''; of
TrainingOptions(num_envs=0)  ->  num_envs of TrainingOptions must be a whole number at least 1; got 0.
TrainingOptions(precision="fp8")  ->  Unknown value for precision of TrainingOptions: 'fp8'; choose one of: auto, bfloat16,
TrainingOptions(patience=-1)  ->  patience of TrainingOptions must be a whole number at least 0; got -1.
TrainingOptions(goal_return=float("nan"))  ->  goal_return of TrainingOptions must be a number; got nan.
TrainingOptions(goal_return=1.0)  ->  goal_return of TrainingOptions has no effect while goal_episodes is 0; set that too, or leave goal_return at 0.
TrainingOptions(test_unseen=True)  ->  test_unseen of TrainingOptions has no effect while test_episodes is 0; set that too, or
TrainingOptions(threads=2.5)  ->  threads of TrainingOptions must be a whole number at least 1; got 2.5.
train([],Scratch(),A2C())  ->  A sequence needs at least one task, each with its own id; got [].
train([pong,pong],Scratch(),A2C())  ->  A sequence needs at least one task, each with its own id; got ['mini-pong/pong',
train(pong,Scratch(),A2C())  ->  tasks of train_sequence must be a list of tasks; got MiniPongTask(variant='pong',
train([3],Scratch(),A2C())  ->  A task of train_sequence must be a task; got 3, which has no 'spec'.
train([pong],3,A2C())  ->  method of train_sequence must be a method; got 3, which has no 'begin_task'.
train([pong],Scratch,A2C())  ->  method of train_sequence must be a method, but the class Scratch itself came; make one
train([pong],Scratch(),A2C)  ->  learner of train_sequence must be a learner's configuration, but the class A2C itself
train([pong],Scratch(),"a2c")  ->  learner of train_sequence must be a learner's configuration; got 'a2c', which has no
train([pong],Scratch(),A2C(),seed="x")  ->  seed of train_sequence must be a whole number; got 'x'.
train([pong],Scratch(),A2C(),seed=1.5)  ->  seed of train_sequence must be a whole number; got 1.5.
train([pong],Scratch(),A2C(),options=3)  ->  options of train_sequence must be TrainingOptions; got 3.
train([pong],Scratch(),A2C(),schedule=[])  ->  The schedule never visits task 'mini-pong/pong'; visit it, or leave it out of the tasks.
train([pong],Scratch(),A2C(),schedule=[Visit("x",3)])  ->  Unknown task in the schedule 'x'; choose one of: mini-pong/pong.
train([pong],Scratch(),A2C(),schedule=[3])  ->  A schedule is a list of Visit(task, steps); got 3.
train([pong],Scratch(),A2C(),env_threads=0)  ->  env_threads of train_sequence must be a whole number at least 1; got 0.
train([pong],Scratch(),A2C(),evaluation_limit=0)  ->  evaluation_limit of train_sequence must be a whole number at least 1; got 0.
train([pong],Scratch(),A2C(),recorder="runs")  ->  recorder of train_sequence must be a recorder, such as MemoryRecorder(); got 'runs', which
train([pong],Scratch(),A2C(),labels="forget-me-not")  ->  labels of train_sequence must be a recogniser's configuration; got 'forget-me-not', which
train([pong],Scratch(),A2C(),labels={"kind":"true"})  ->  labels of train_sequence must be a recogniser's configuration; got {'kind': 'true'}, which
train([pong],Scratch(),A2C(),labels=ForgetMeNot)  ->  labels of train_sequence must be a recogniser's configuration, but the class ForgetMeNot
in_random_order(["a"],2)  ->  A task of in_random_order must be a task; got 'a', which has no 'spec'.
in_random_order(pong,2)  ->  tasks of in_random_order must be a list of tasks; got MiniPongTask(variant='pong',
train([pong],Scratch(),Supervised())  ->  Task 'mini-pong/pong' is no data set, as the learner 'supervised' needs; learn it with
train([task_from_name("digits/all",steps=100)],Scratch(),PPO())  ->  Task 'digits/all' has no environments to act in; a data set is learned with the learner
train([pong],Scratch(),A2C(),options=TrainingOptions(device="meta"))  ->  Device 'meta' can't be used (Tensor.item() cannot be called on meta tensors); try 'cpu'.
evaluate(pong,None,episodes=0)  ->  episodes of evaluate must be a whole number at least 1; got 0.
evaluate(pong,None,episodes=2.5)  ->  episodes of evaluate must be a whole number at least 1; got 2.5.
evaluate(pong,None,seed="x")  ->  seed of evaluate must be a whole number; got 'x'.
evaluate(pong,None,limit=0)  ->  limit of evaluate must be a whole number at least 1; got 0.
evaluate(pong,None,num_envs=0)  ->  num_envs of evaluate must be a whole number at least 1; got 0.
evaluate(3,None)  ->  task of evaluate must be a task; got 3, which has no 'spec'.
evaluate(pong,None,learner="dqn")  ->  learner of evaluate must be a learner's configuration; got 'dqn', which has no 'policy'.
evaluate(pong,None,learner=DQN)  ->  learner of evaluate must be a learner's configuration, but the class DQN itself came; make
check_task(TMazeTask)  ->  task of check_task must be a task, but the class TMazeTask itself came; make one with
check_method(EWC())  ->  make of check_method must be a function that makes a new method, as in
evaluate(pong,3)  ->  network of evaluate must be a network or None; got 3.
evaluate(pong,None,device="meta")  ->  Device 'meta' can't be used (Tensor.item() cannot be called on meta tensors); try 'cpu'.
evaluate(pong,None,device="nosuch")  ->  Device 'nosuch' can't be used (PyTorch knows no device of that name); try 'cpu'.
train([pong],Scratch(),A3C(),options=TrainingOptions(device="tpu"))  ->  Device 'tpu' can't be used (PyTorch knows no device of that name); try 'cpu'.
evaluate(pong,None,device="vulkan")  ->  Device 'vulkan' can't be used (Could not run
Visit("x",0)  ->  steps of Visit must be a whole number at least 1; got 0.
Visit("x",1.5)  ->  steps of Visit must be a whole number at least 1; got 1.5.
RunSpec(**{**good,"tasks":()})  ->  'tasks' is empty; a run needs at least one task.
RunSpec(**{**good,"seed":"x"})  ->  seed of RunSpec must be a whole number; got 'x'.
RunSpec(**{**good,"seed":1.5})  ->  seed of RunSpec must be a whole number; got 1.5.
RunSpec(**{**good,"label":3})  ->  label of RunSpec must be a text; got 3.
RunSpec(**{**good,"tasks":"abc"})  ->  tasks of RunSpec must be a list; got 'abc'.
RunSpec(**{**good,"column":3})  ->  column of RunSpec must be a text or an object; got 3.
RunSpec(**{**good,"evaluation_episodes":0})  ->  evaluation_episodes of RunSpec must be a whole number at least 1; got 0.
RunSpec(**{**good,"parent":3})  ->  parent of RunSpec must be a text; got 3.
RunSpec(**{**good,"method_options":3})  ->  method_options of RunSpec must be an object; got 3.
RunSpec(**{**good,"learner_options":{"a":object()}})  ->  learner_options.a of RunSpec must be true or false or a whole number or a number or a
RunSpec(**{**good,"learner_options":{"a":float("nan")}})  ->  'learner_options' holds what JSON cannot: Out of range float values are not JSON
RunSpec.from_json({})  ->  RunSpec lacks 'label', 'method', 'tasks', 'learner'; add it.
RunSpec.from_json([])  ->  RunSpec must be a JSON object; got [].
TaskBudget("x",0)  ->  steps of TaskBudget must be a whole number at least 1; got 0.
TaskBudget(3,3)  ->  name of TaskBudget must be a text; got 3.
Sweep(jobs=0)  ->  A sweep needs at least 1 job, but --jobs 0 came.
Sweep(jobs="x")  ->  jobs of Sweep must be a whole number; got 'x'.
Sweep(top=5,jobs=3)  ->  --top is how many of the 3 jobs count, from 1 to 3, but 5 came.
Choice(())  ->  A grid needs at least one value and finite ones only, but none came; write them as in
Choice((1,1))  ->  A grid names each value once, but 1,1 came.
LogUniform(2,1)  ->  A log-uniform range runs from a number above 0 to a larger one, but 2:1 came; write it
SearchSpace()  ->  A sweep needs at least one hyperparameter to draw.
parse_ranges(("x",))  ->  --range is NAME=LOW:HIGH or NAME=A,B,C with numbers, but 'x' came.
SuiteOptions(seeds=0)  ->  A suite needs at least 1 seed, but --seeds 0 came.
SuiteOptions(games=0)  ->  A stream needs at least 2 tasks, but --games 0 came.
SuiteOptions(games=2.5)  ->  games of SuiteOptions must be a whole number; got 2.5.
SuiteOptions(games="all")  ->  games of SuiteOptions must be a whole number; got 'all'.
SuiteOptions(budget=0)  ->  --budget is a factor above 0, but 0 came.
SuiteOptions(budget="x")  ->  budget of SuiteOptions must be a number; got 'x'.
Plan((RunSpec(**{**good,"parent":"x"}),))  ->  Run 'a' starts from run 'x', which is not among the runs before it; list the parent
Plan((RunSpec(**{**good,"parent":"x"*999}),))  ->  Run 'a' starts from run 'xxxx
mean_interval([1,2],level=2)  ->  The level of an interval lies between 0 and 1, but 2 came.
top_k_mean([1,2],0)  ->  top_k_mean keeps at least 1 run, but k is 0.
enough_runs([1,2],-1)  ->  The half-width of an interval is above 0, but -1 came.
continual.average_scores(np.zeros((2,3)))  ->  Scores of all tasks after each are a matrix [T, T]; got (2, 3).
continual.forgetting(np.zeros(3))  ->  Scores of all tasks after each are a matrix [T, T]; got (3,).
fisher_overlap({"a":torch.zeros(3)},{"b":torch.zeros(3)})  ->  Two Fishers of one network are compared, but only one has 'a'.
fisher_overlap({"a":torch.zeros(3)},{"a":torch.zeros(4)})  ->  Two Fishers of one network are compared, but 'a' has shape [3] in one and [4] in the
colonnade.load("/nosuch.safetensors")  ->  There is no file /nosuch.safetensors; give one that
colonnade.load("/nosuch")  ->  /nosuch is neither a folder that `colonnade run --out` made (with a suite.json) nor one
colonnade.load(3)  ->  source of load must be a path, or 'bundled:NAME'; got 3.
ForgetMeNot(0)  ->  every of ForgetMeNot must be a whole number at least 1; got 0.
parameter_fisher(torch.nn.Linear(2,2),[],None)  ->  The likelihood must be a function of the network's output, such as
parameter_fisher(3,[],None)  ->  The likelihood must be a function of the network's output, such as
""".strip("\n").splitlines()  # noqa: E501
]
"""What is written, and how the sentence begins."""

NAMES = dict(globals())
USED = (
    A3C, DQN, JacoTask, AtariTask, GymTask, LabyrinthTask, PongSoupTask, TMazeTask, Conv, Choice,
    LogUniform, SearchSpace, Sweep, SuiteOptions, Plan, Path, ModularNetwork, mini_modules, EWC,
    Finetune, PathNet, Progressive, Scratch, PPO, A2C, Supervised, ForgetMeNot, ProgressiveNetwork,
    RunSpec, Dense, ColumnSpec, Visit, colonnade, np, torch, continual, enough_runs, mean_interval,
    fisher_overlap, top_k_mean, parse_ranges, learner_from_name, method_from_name, column_preset,
    mlp_column, tiny_column, parameter_fisher, task_from_name, evaluate,
    check_column, check_method, check_task, in_random_order,
)  # fmt: skip
"""What the lines above are made of."""


@pytest.mark.parametrize(("written", "said"), MISTAKES)
def test_a_mistake_has_one_sentence(written: str, said: str) -> None:
    started = time.process_time()
    with pytest.raises(UsageError) as raised:
        eval(written, NAMES)
    assert time.process_time() - started < 5
    sentence = str(raised.value)
    assert sentence.startswith(said)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    assert len(sentence) < 700


def test_there_are_a_hundred() -> None:
    assert len({written for written, _ in MISTAKES}) == len(MISTAKES) >= 100
