"""A Jaco arm of nine joints in MuJoCo that reaches for a target, from pixels (Rusu et al. 2017)."""

from colonnade.tasks.arm.domains import DOMAINS, Domain
from colonnade.tasks.arm.dynamics import Dynamics
from colonnade.tasks.arm.look import Look
from colonnade.tasks.arm.rules import Rules
from colonnade.tasks.arm.task import JacoTask, in_every_domain

__all__ = ["DOMAINS", "Domain", "Dynamics", "JacoTask", "Look", "Rules", "in_every_domain"]
