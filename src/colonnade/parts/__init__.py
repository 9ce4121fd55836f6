"""Parts by name that are not ours: tasks, methods, learners, columns, recorders, suites and others.

What a name in a spec or on the command line stands for is looked for among ours, then among these,
from two places. A package that is installed names parts as entry points::

    [project.entry-points."colonnade.methods"]
    nudge = "my_package.methods:Nudge"

and a module, or a file at hand, that `--plugin` names lists them as `PARTS`::

    PARTS = [Part("methods", "nudge", Nudge, title="Nudged columns", colour="#117733")]

An entry point may lead to a `Part` too, where its title or colour is to be said. Only what is asked
for is imported: entry points when their name is, plugins when `load_plugin` is called. A folder
holds in words what its pages say of a part (`Part.said`), so that to read one takes no import.
docs/plugins.md shows what each kind of part is.
"""

from colonnade.parts.part import Part
from colonnade.parts.plugins import load_plugin

__all__ = ["Part", "load_plugin"]
