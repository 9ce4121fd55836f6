"""The door to the server, small enough that it ends with its command while the rest is imported.

`python -m colonnade.experiments.execution OUT PARENT SECONDS PATIENCE PLUGIN...`: the output
folder, the process id of the command, after how many seconds without a sign of life somebody is
taken to hang, how many seconds a run waits for another process that writes its folder, and what the
command was given as plugins.
"""

import sys

from colonnade.watching import end_with, set_limit

if __name__ == "__main__":
    out, parent, seconds, patience, *plugins = sys.argv[1:]
    end_with(int(parent))
    set_limit(float(seconds))

    from colonnade.experiments.execution.server import main

    main(out, float(patience), plugins)
