"""The mutants that `make mutants` runs: for every number of a page or a table at least one.

Each line names a function, what is done to it, and the tests that should notice, the likeliest
first. A function that makes a new number gets a line here.
"""

from __future__ import annotations

from collections.abc import Iterator

from mutants import Mutant


def _of(module: str, tests: str, *changes: tuple[str | int, ...]) -> Iterator[Mutant]:
    """Make the mutants of a module: (function, operator, arguments ...), and #n for a place."""
    for symbol, operator, *rest in changes:
        place = 0
        if rest and str(rest[-1]).startswith("#"):
            place = int(str(rest.pop())[1:])
        yield Mutant(f"{module}:{symbol}", str(operator), tuple(tests.split()), tuple(rest), place)


_ANALYSIS = "analysis/"
_NUMBERS, _INTERVALS = "reports/test_numbers.py", "experiments/results/test_intervals.py"
_FINAL = f"{_NUMBERS}::test_the_final_score_is_the_trained_policys"
_TABLE = (
    f"{_NUMBERS}::test_the_table_has_means_medians_and_intervals_the_right_way_round {_INTERVALS}"
)
_DRAWN = f"{_NUMBERS}::test_curves_are_drawn_where_they_were_measured {_INTERVALS} {_NUMBERS}"
_MATRIX = f"{_NUMBERS}::test_the_matrix_shows_every_score_at_its_place"
_JOBS = "experiments/results/test_hyperparameters.py"
_CURVES = "experiments/store/test_measures.py reports/test_numbers.py"
_DOMAINS = "experiments/results/test_domains.py"
_CONTINUAL = "experiments/results/test_continual.py reports/test_continual.py"
_SWEEP = "experiments/results/test_hyperparameters.py experiments/launch/test_sweep.py"
_PATHS = (
    "experiments/suites/test_pathnet.py::test_generations_and_speedups_by_hand "
    "experiments/suites/test_pathnet.py::test_generations_are_drawn_where_they_were_counted "
    "experiments/suites/test_pathnet.py"
)
_ANALYZE = "experiments/trained/test_analysis_numbers.py"

MUTANTS: list[Mutant] = [
    # How curves, areas and scores are measured.
    *_of(
        "training.curves",
        _ANALYSIS + "test_scores.py",
        ("Curve._row", "median for mean"),
        ("Curve._row", "word", "total_return", "length"),
        ("Curve._row", "comparison turned"),
        ("Curve._row", "off by one", "#1"),
        ("Curve.add", "off by one"),
        ("Curve.recent_return", "median for mean"),
    ),
    *_of(
        "training.evaluation",
        _ANALYSIS + "test_scores.py",
        ("evaluate", "word", "total_return", "length"),
        ("evaluate", "negated", "#1"),
        ("_right", "times for over"),
        ("_right", "comparison turned"),
    ),
    *_of(
        "training.goal",
        "training/test_goal.py",
        ("Goal.reached", "bound"),
        ("Goal.reached", "off by one", "#0"),
        ("Goal.reached", "times for over"),
    ),
    *_of(
        "experiments.store.measures",
        _CURVES,
        ("learning_curve", "assigned", "returns", "zero"),
        ("learning_curve", "off by one", "#4"),
        ("learning_curve", "plus for minus", "#1"),
        ("learning_curve", "over for times"),
        ("learning_curve", "word", "round", "int"),
    ),
    *_of(
        "experiments.store.measures",
        _ANALYSIS + "test_scores.py",
        ("LearningCurve.bins_reached", "word", "round", "int"),
    ),
    *_of(
        "analysis.transfer",
        _ANALYSIS + "test_transfer.py",
        ("carry_forward", "off by one", "#2"),
        ("area_under_curve", "median for mean"),
        ("area_under_curve", "plus for minus"),
        ("area_under_curve", "doubled", "#1"),
        ("top_k_mean", "sign dropped"),
        ("transfer_score", "times for over"),
        ("transfer_score", "bound"),
        ("summarise", "median for mean"),
        ("summarise", "word", "median", "mean"),
        ("forgetting", "negated"),
        ("forgetting", "first for last"),
        ("forgetting", "word", "nanmax", "nanmin"),
        ("retention", "first for last"),
        ("_learned", "transposed"),
    ),
    *_of(
        "analysis.continual",
        _ANALYSIS + "test_continual.py",
        ("score_matrix", "transposed"),
        ("score_matrix", "comparison turned", "#1"),
        ("average_scores", "median for mean"),
        ("average_scores", "off by one"),
        ("learned_scores", "doubled"),
        ("forgetting", "negated", "#1"),
        ("forgetting", "word", "max", "min"),
        ("backward_transfer", "negated", "#1"),
        ("backward_transfer", "plus for minus", "#1"),
        ("forward_transfer", "plus for minus"),
        ("forward_transfer", "median for mean"),
    ),
    # How sure they are.
    *_of(
        "analysis.intervals",
        _ANALYSIS + "test_intervals.py",
        ("mean_interval", "plus for minus", "#1"),
        ("mean_interval", "off by one", "#2"),
        ("mean_interval", "median for mean"),
        ("band", "reversed", "#1"),
        ("band", "times for over"),
        ("ratio_interval", "times for over"),
        ("ratio_interval", "plus for minus", "#2"),
        ("ratio_interval", "argument", "interval_of", 0, "double", "#1"),
        ("bootstrap", "transposed"),
        ("percentile_interval", "times for over"),
        ("percentile_interval", "sign dropped"),
        ("top_k_interval", "plus for minus", "#1"),
        ("enough_runs", "off by one", "#3"),
        ("enough_runs", "comparison turned", "#2"),
        ("interval_of", "bound"),
        ("Interval.caution", "comparison turned"),
        ("_freedom", "times for over"),
        ("_squared_error", "times for over"),
    ),
    *_of(
        "analysis.top_k",
        _ANALYSIS + "test_top_k.py",
        ("bootstrap_top_k", "doubled"),
        ("bootstrap_scores", "argument", "transfer_score", 0, "double"),
        ("score_intervals", "median for mean"),
        ("score_intervals", "argument", "top_k_interval", 0, "negate"),
    ),
    *_of(
        "analysis.aggregates",
        _ANALYSIS + "test_aggregates.py",
        ("interquartile_mean", "off by one"),
        ("interquartile_mean", "median for mean"),
        ("probability_of_improvement", "comparison turned", "#0"),
        ("probability_of_improvement", "over for times"),
        ("probability_of_improvement", "median for mean", "#1"),
    ),
    # What a policy leans on.
    *_of(
        "analysis.perturbation",
        _ANALYSIS + "test_perturbation.py",
        ("PerturbationCurves.means", "median for mean"),
        ("PerturbationCurves._precision_of", "times for over"),
        ("PerturbationCurves._redrawn", "median for mean"),
        ("PerturbationCurves._interval", "reversed"),
        ("half_noise", "plus for minus", "#1"),
        ("half_noise", "off by one", "#4"),
        ("non_increasing", "word", "min", "max"),
        ("rank_correlation", "negated", "#1"),
        ("_ranks", "plus for minus"),
        ("_share", "doubled"),
    ),
    *_of(
        "analysis.capacity",
        _ANALYSIS + "test_capacity.py",
        ("mean_spectrum", "sign dropped"),
        ("mean_spectrum", "median for mean"),
        ("most_sensitive", "off by one", "#2"),
        ("used_share", "times for over"),
    ),
    *_of(
        "analysis.overlap",
        _ANALYSIS + "test_overlap.py",
        ("_overlap", "times for over"),
        ("_overlap", "over for times"),
    ),
    *_of(
        "analysis.sensitivity",
        _ANALYSIS + "test_sensitivity.py",
        ("SiteStatistics.map_variance", "minus for plus"),
        ("SiteStatistics.sensitivity", "over for times"),
        ("ActivationFisher.afs", "times for over"),
        ("ActivationFisher.layer_afs", "word", "sum", "max"),
        ("_Sums.statistics", "plus for minus"),
    ),
    # What a report makes of it.
    *_of(
        "experiments.results.runs",
        f"{_FINAL} {_INTERVALS}",
        ("RunResult.final_score", "word", "trained", "random"),
    ),
    *_of(
        "experiments.results.transfer",
        f"{_FINAL} {_INTERVALS}",
        ("Results.random_scores", "word", "random", "trained"),
        ("Results.random_scores", "times for over"),
    ),
    *_of(
        "experiments.results.transfer",
        f"{_INTERVALS} {_NUMBERS}",
        ("Results._ratio", "doubled"),
        ("Results.mean_area", "median for mean"),
        ("Results.summary", "argument", "scaled", 0, "double"),
        ("Results.robust_summary", "word", "mean", "max"),
        ("Results.robust_summary", "off by one"),
        ("Results.robust_summary", "argument", "probability_of_improvement", 0, "reverse"),
        ("Results.seeds_wanted", "over for times"),
    ),
    *_of(
        "experiments.results.transfer",
        _JOBS,
        ("Results.counting", "argument", "sorted", "reverse", "zero"),
        ("Results.area", "doubled", "#1"),
        ("Results._by_job", "assigned", "areas[self.suite.sweep.number_of(run.spec.seed)]", "zero"),
    ),
    *_of(
        "experiments.results.matrix_and_table",
        f"{_TABLE} reports/test_suite.py",
        ("_row", "word", "mean", "median"),
        ("_row", "word", "median", "mean"),
        ("_row", "word", "low", "high"),
        ("_row", "argument", "TableRow", "high", "double"),
        ("_row", "argument", "TableRow", "middle", "double"),
        ("_row", "argument", "TableRow", "improvement", "negate"),
        ("_row", "minus for plus"),
        ("matrix_of", "argument", "TransferMatrix", "scores", "double"),
    ),
    *_of(
        "experiments.results.matrix_and_table",
        f"{_JOBS} {_NUMBERS}",
        ("matrix_of", "assigned", "(low[at], high[at])", "reverse"),
    ),
    *_of(
        "reports.transfer.section",
        f"{_TABLE} reports/test_suite.py",
        ("_table_row", "word", "mean", "median"),
        ("_table_row", "word", "median", "mean"),
        ("_table_row", "word", "low", "high", "#1"),
        ("_table_row", "word", "middle", "mean"),
        ("_table_row", "argument", "_TableRow", "improvement", "one"),
        ("_table_row", "word", "pairs", "planned"),
    ),
    *_of(
        "reports.run",
        f"{_FINAL} {_INTERVALS}",
        ("_run_row", "word", "trained", "random"),
        ("_run_row", "word", "random", "trained"),
        ("_over_episodes", "word", "return_std", "return_mean"),
        ("_run_row", "times for over"),
    ),
    *_of(
        "experiments.results.curves",
        _DRAWN,
        ("_line", "argument", "CurveLine", "mean", "zero"),
        ("_line", "argument", "CurveLine", "steps", "double"),
        ("_line", "median for mean"),
        ("_line", "off by one", "#1"),
        ("_line", "assigned", "(low, high)", "reverse"),
        ("_line", "word", "any", "all"),
        ("_random", "zero"),
    ),
    *_of(
        "reports.transfer.curves",
        _DRAWN,
        ("_draw_panel", "argument", "plot", 0, "double"),
        ("_draw_panel", "argument", "plot", 1, "zero"),
        ("_draw_panel", "argument", "fill_between", 1, "double"),
        ("_draw_panel", "argument", "axhline", 0, "zero"),
    ),
    *_of(
        "reports.transfer.matrix",
        f"{_MATRIX} {_INTERVALS} {_JOBS}",
        ("transfer_matrix", "assigned", "text", "one"),
        ("transfer_matrix", "argument", "imshow", 0, "transpose"),
        ("transfer_matrix", "argument", "text", 0, "double"),
        ("transfer_matrix", "word", "low", "high", "#1"),
    ),
    *_of(
        "experiments.results.continual",
        _CONTINUAL,
        ("SequenceRun.matrix", "transposed"),
        ("SequenceRun.matrix", "doubled"),
        ("SequenceRun.before", "first for second"),
        ("SequenceRun.chance", "zero"),
        ("SequenceRun.validation", "word", "validation", "random"),
        ("SequenceRun.curve", "minus for plus"),
        ("SequenceRun.curve", "zero"),
        ("SequenceRun.starts", "off by one"),
        ("Contender.matrix", "median for mean"),
        ("Contender.matrix", "transposed"),
        ("Contender.averages", "doubled"),
        ("measured", "first for last"),
        ("measured", "word", "backward_transfer", "forgetting"),
        ("measured", "argument", "Measured", "forgetting", "negate"),
        ("measured", "argument", "Measured", "forward", "double"),
        ("measured", "median for mean"),
        ("single_scores", "median for mean"),
        ("_sequence", "word", "max", "min"),
    ),
    *_of(
        "reports.continual.section",
        _CONTINUAL,
        ("_row", "word", "learned", "average"),
        ("_row", "word", "backward", "forward"),
        ("_row", "argument", "_Row", "forgetting", "one"),
        ("_over_seeds", "median for mean"),
        ("_over_seeds", "word", "std", "var"),
        ("_average", "doubled"),
        ("_final", "doubled"),
        ("_singles", "reversed"),
    ),
    *_of(
        "reports.continual.charts",
        _CONTINUAL,
        ("matrices", "assigned", "values", "transpose"),
        ("matrices", "assigned", "text", "one"),
        ("matrices", "argument", "text", 0, "double"),
        ("_draw", "argument", "plot", 0, "double"),
        ("_draw", "median for mean"),
        ("_draw", "argument", "fill_between", 1, "double"),
        ("average_curves", "argument", "axhline", 0, "zero"),
        ("overlap_curves", "off by one", "#2"),
    ),
    *_of(
        "experiments.results.jobs",
        _SWEEP,
        ("job_rows", "argument", "JobRow", "area", "double"),
        ("job_rows", "argument", "JobRow", "transfer", "double"),
        ("job_rows", "argument", "JobRow", "final_score", "negate"),
        ("job_rows", "argument", "JobRow", "job", "double"),
        ("job_rows", "argument", "JobRow", "counts", "zero"),
        ("job_rows", "argument", "JobRow", "random_score", "zero"),
        ("job_rows", "argument", "JobRow", "seconds", "double"),
    ),
    *_of(
        "experiments.results.hyperparameters",
        _SWEEP,
        ("sorted_panels", "sign dropped"),
        ("sorted_panels", "minus for plus"),
        ("scatter_panels", "word", "transfer", "area"),
        ("_medians", "word", "median", "mean"),
        ("_medians", "reversed"),
    ),
    *_of(
        "reports.sweep.section",
        _SWEEP,
        ("SweepSection._best", "sign dropped"),
        ("SweepSection._job", "doubled"),
    ),
    *_of(
        "experiments.results.early_stop",
        "experiments/launch/test_sweep.py",
        ("MedianRule._judge", "word", "median", "mean"),
        ("MedianRule._judge", "word", "nanmax", "nanmin"),
        ("MedianRule._judge", "comparison turned", "#2"),
    ),
    # Domains: what was known there, and what was learned.
    *_of(
        "analysis.filters",
        _ANALYSIS + "test_filters.py",
        ("median_filtered", "word", "nanmedian", "nanmean"),
        ("median_filtered", "doubled"),
    ),
    *_of(
        "experiments.results.domains",
        _DOMAINS,
        ("zero_shot", "times for over"),
        ("zero_shot", "reversed", "#1"),
        ("learned", "comparison turned"),
        ("learned", "sign dropped"),
        ("learned", "sign dropped", "#1"),
        ("Learned.mean", "doubled"),
        ("Learned.spread", "doubled"),
        ("Learned.quartiles", "reversed", "#1"),
        ("rewards", "argument", "Rewards", 1, "double"),
        ("rewards", "argument", "Rewards", 2, "double"),
        ("rewards", "argument", "Rewards", 3, "double"),
        ("_error", "doubled"),
    ),
    *_of(
        "experiments.results.generations",
        _PATHS,
        ("generations_of", "times for over", "#0"),
        ("generations_of", "off by one", "#0"),
        ("goal_row", "first for last"),
        ("generation_rows", "argument", "GenerationRow", "minibatches", "double"),
        ("generation_rows", "argument", "GenerationRow", "reached", "double"),
    ),
    *_of(
        "reports.pathnet.charts",
        _PATHS,
        ("draw_generations", "median for mean"),
    ),
    *_of(
        "experiments.results.paths",
        _PATHS,
        ("chance_overlap", "times for over", "#0"),
        ("chance_overlap", "off by one", "#0"),
        ("Paths.reuse", "word", "best", "frozen"),
        ("Paths.reuse", "first for last"),
        ("Paths._speedup", "times for over", "#1"),
    ),
    *_of(
        "reports.pathnet.section",
        _PATHS,
        ("PathSection.html", "median for mean"),
    ),
    *_of(
        "experiments.trained.pruned",
        "experiments/trained/test_analysis_numbers.py",
        ("Cost.loss", "negated"),
        ("Cost.loss", "median for mean"),
        ("Cost.interval", "word", "low", "high"),
        ("Cost._interval", "times for over"),
        ("notes", "plus for minus"),
        ("notes", "times for over", "#1"),
    ),
    *_of(
        "reports.sensitivity.page",
        _ANALYZE,
        ("_sentence", "plus for minus"),
        ("_sentence", "comparison turned"),
        ("_agreement_words", "median for mean"),
        ("_agreement_words", "word", "min", "max"),
    ),
    *_of(
        "experiments.trained.comparison",
        _ANALYZE,
        ("used_shares", "median for mean"),
        ("used_shares", "argument", "used_share", 0, "zero"),
        ("new_vision", "word", "nanmean", "nanmax"),
        ("new_vision", "assigned", "score", "double"),
    ),
    *_of(
        "reports.sensitivity.charts",
        _ANALYZE,
        ("_shade", "word", "nanmean", "nanmax"),
        ("_shade", "argument", "FancyBboxPatch", 0, "double"),
        ("agreement", "argument", "errorbar", 0, "double"),
        ("agreement", "word", "value", "low"),
        ("_of_level", "comparison turned"),
        ("sweet_spot", "argument", "plot", 1, "double"),
    ),
    *_of(
        "experiments.launch.cost",
        "experiments/trained/test_analysis_numbers.py",
        ("estimate", "over for times"),
        ("estimate", "times for over"),
        ("_measured", "times for over"),
    ),
]
