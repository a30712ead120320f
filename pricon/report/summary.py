"""Report and its parts: what the numbers of a run come to, as frozen data.

NaN means "these trials do not define it"; files write it as null, tables as `-`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

from pricon.plan.plan import Judge
from pricon.report.estimate import Estimate
from pricon.report.metrics import Metrics, ValueMetrics
from pricon.report.results import TrialResult
from pricon.report.surface import Surface
from pricon.report.yardstick import YARDSTICKS, Yardstick
from pricon.spec.corpus import Affect
from pricon.spec.statistics import StatisticsSpec
from pricon.spec.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Primary metric of one arm minus that of another on the same test windows.

    Args:
        arm: minuend.
        reference: subtrahend.
        difference: paired; both arms under the same resamples. Its interval conditions on the
            trained models: training noise does not enter it.
        by_seed: difference of each seed in order, mean over folds; NaN where a seed has no pair.
            Training noise shows here.
        num_participants: who were tested under both, and have the metric by themselves.
        p_value: two-sided paired Wilcoxon over participants (each one's metric averaged over
            seeds).
        rank_biserial: where that test points: ranks of participants with a gain minus ranks of
            those with a loss, as a share of both, -1 to 1 (Kerby 2014).
        p_holm: the same, adjusted by Holm over the comparisons of the table.
        p_fold_seed: two-sided paired Wilcoxon over fold x seed pairs, adjusted by Bonferroni over
            the comparisons of the table. As in earlier papers; weak alone, because seeds are not
            independent replicates.
        smallest_detectable: difference that this sample would find with 80 % power at alpha 0.05.
        p_equivalent: of two one-sided t tests (TOST) over participants; small where the difference
            is shown to lie within the job's `statistics.equivalence_margin`.
    """

    arm: str
    reference: str
    difference: Estimate
    by_seed: tuple[float, ...]
    num_participants: int
    p_value: float
    rank_biserial: float
    p_holm: float
    p_fold_seed: float
    smallest_detectable: float
    p_equivalent: float

    def num_seeds(self, sign: int) -> int:
        """Seeds whose difference is positive (1), zero (0) or negative (-1)."""
        return sum((d > 0) - (d < 0) == sign for d in self.by_seed if not isnan(d))


@dataclass(frozen=True, slots=True, kw_only=True)
class GapClosed:
    """(arm - e2e) / (all_modalities - e2e) in the primary metric; only where there is a gap.

    Args:
        share: 1 means as good as with all modalities.
        num_without_gap: resamples in which the gap was zero or negative; left out of the interval.
        num_resamples: of all.
    """

    share: Estimate
    num_without_gap: int
    num_resamples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSummary:
    """One row of a table.

    Args:
        arm: condition.
        modality: what its deployed model needs, in one word; empty for `majority`.
        num_finished: trials behind the numbers.
        num_planned: trials that the plan holds.
        metrics: name -> mean over folds, then seeds; the primary one first.
        by_participant: primary metric over all windows of each participant who has one, mean over
            seeds.
        teacher_score: primary metric of the teachers, on the same windows, mean over folds, then
            seeds; NaN for arms without one.
        minus_e2e: None for `e2e` itself, and where the two arms did not finish the same cells.
        gap_closed: None where the report is incomplete or there is no gap, for e2e and for arms
            that do not depend on the available set.
    """

    arm: str
    modality: str
    num_finished: int
    num_planned: int
    metrics: Mapping[str, Estimate]
    by_participant: Mapping[str, float]
    teacher_score: float
    minus_e2e: Comparison | None
    gap_closed: GapClosed | None

    @property
    def primary(self) -> Estimate:
        """The metric that arms are compared by."""
        return next(iter(self.metrics.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One table: the arms that share a stimulus group, an affect and an available set.

    Args:
        stimulus: the group in one word, or `MACRO_AVERAGE`.
        affect: what they predict.
        available: modalities in the wild, in one word.
        num_participants: participants tested.
        arms: in the order of `spec.job.Arm`.
        others: comparisons of two arms other than e2e; left out where one of them is absent or they
            did not finish the same cells.
    """

    stimulus: str
    affect: Affect
    available: str
    num_participants: int
    arms: tuple[ArmSummary, ...]
    others: tuple[Comparison, ...]

    def arm(self, name: str) -> ArmSummary | None:
        """The row of an arm, None where the table has none."""
        return next((row for row in self.arms if row.arm == name), None)


MACRO_AVERAGE = "macro average over stimuli"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldSummary:
    """Windows and labels of one fold, averaged over seeds (which move validation participants).

    Args:
        stimulus: the group in one word.
        affect: what is predicted.
        fold: index from 0.
        num_windows: windows with a label by split, and `dropped` ones; NaN where no trial tells.
        share_high: share of class `high` by split; NaN under regression.
        affect_mean: mean affect by split; NaN under classification.
        affect_sd: its standard deviation by split; NaN under classification.
        majority_accuracy: test accuracy of always predicting the training majority; NaN under
            regression.
        constant_rmse: test RMSE of always predicting the training mean; NaN under classification.
    """

    stimulus: str
    affect: Affect
    fold: int
    num_windows: Mapping[str, float]
    share_high: Mapping[str, float]
    affect_mean: Mapping[str, float]
    affect_sd: Mapping[str, float]
    majority_accuracy: float
    constant_rmse: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One trial with its metrics; None unless it finished."""

    result: TrialResult
    metrics: Metrics | ValueMetrics | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found. `str()` is one line; `tables` and `markdown` show all of it.

    Args:
        job_name: the job's name.
        run_id: the plan's.
        corpus_digest: SHA-256 of the corpus' manifest.
        generated: whether the recordings were written by a generator.
        folds_asked: None when the whole job was planned, else the folds that were.
        trials: one a trial of the plan, in its order.
        blocks: tables.
        folds: windows and labels of each fold.
        task: what the models predict.
        statistics: what the job says about tests and intervals.
        judged_on: whose participants judged the trials.
        surfaces: of a job with a grid of settings, which has no `blocks`.
        verdict: sentences that the numbers allow; empty while incomplete.
    """

    job_name: str
    run_id: str
    corpus_digest: str
    generated: bool
    folds_asked: tuple[int, ...] | None
    trials: tuple[TrialRow, ...]
    blocks: tuple[Block, ...]
    folds: tuple[FoldSummary, ...]
    statistics: StatisticsSpec
    judged_on: Judge = "test"
    surfaces: tuple[Surface, ...] = ()
    task: Task = "classification"
    verdict: tuple[str, ...] = ()

    @property
    def yardstick(self) -> Yardstick:
        """What arms are judged by."""
        return YARDSTICKS[self.task]

    @property
    def unfinished(self) -> tuple[TrialResult, ...]:
        """Trials that are missing or failed."""
        return tuple(row.result for row in self.trials if row.result.status != "finished")

    @property
    def complete(self) -> bool:
        """Whether every trial of the whole job finished."""
        return self.folds_asked is None and not self.unfinished

    def __str__(self) -> str:
        finished = len(self.trials) - len(self.unfinished)
        state = "complete" if self.complete else "INCOMPLETE"
        return f"{self.job_name} {self.run_id}: {finished} of {len(self.trials)} trials, {state}"
