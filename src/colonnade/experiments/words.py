"""Numbers in words."""

import re


def run_count(runs: int) -> str:
    """Say how many runs a number stands on."""
    return "1 run" if runs == 1 else f"{runs} runs"


def duration(seconds: float) -> str:
    """Write a duration in the two largest units that matter."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def short_number(value: float) -> str:
    """Write 250000 as "250 k" and 1500000 as "1.5 M"."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def without_seed(label: str) -> str:
    """Return what runs that differ in their seeds alone are called."""
    return re.sub(r",? *seed [0-9]+$", "", label)
