"""What commands that measure trained networks print while they do."""

from io import StringIO
from types import SimpleNamespace

from rich.console import Console

from colonnade.cli.measuring import measure_each


def test_labels_are_printed_as_they_are():
    runs = [
        SimpleNamespace(done=True, spec=SimpleNamespace(label=label), id=label)
        for label in ("finetune [lr=1e-3] to zoom", "mix [/2] to zoom")
    ]
    out = StringIO()

    def measure(folder, show):
        show("[/half]")
        return folder.id

    measured = measure_each(
        runs, lambda folder: None, measure, Console(file=out, force_terminal=True)
    )
    assert measured == [folder.id for folder in runs]
    for run in runs:
        assert f"{run.id}: done" in out.getvalue()
