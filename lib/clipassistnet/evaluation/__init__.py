"""What a study reports: metrics, intervals over patients, and Tables 2 and 3.

Positive class: tip invisible (target 1); scores are p(invisible). One module a subject; the names
that notebooks use are offered here.
"""

from clipassistnet.evaluation.by_patient import by_patient, by_scorer_and_patient
from clipassistnet.evaluation.conformal import (
    Guarantee,
    missed,
    threshold_with_guarantee,
    videos_needed,
)
from clipassistnet.evaluation.discrimination import (
    METRICS,
    auroc,
    predictive_values,
    rates,
    ratio,
    specificity_at_sensitivity,
    threshold_at_sensitivity,
    with_target,
)
from clipassistnet.evaluation.intervals import (
    Difference,
    Interval,
    corrected_resampled_ttest,
    show,
)
from clipassistnet.evaluation.paper_tables import (
    by_protocol,
    compare,
    fold_metrics,
    side_by_side,
    table2,
    table3,
)
from clipassistnet.evaluation.per_video import ensemble, paper_threshold, per_video, per_video_rates
from clipassistnet.evaluation.resampling import bootstrap, paired_bootstrap

__all__ = [
    "METRICS",
    "Difference",
    "Guarantee",
    "Interval",
    "auroc",
    "bootstrap",
    "by_patient",
    "by_protocol",
    "by_scorer_and_patient",
    "compare",
    "corrected_resampled_ttest",
    "ensemble",
    "fold_metrics",
    "missed",
    "paired_bootstrap",
    "paper_threshold",
    "per_video",
    "per_video_rates",
    "predictive_values",
    "rates",
    "ratio",
    "show",
    "side_by_side",
    "specificity_at_sensitivity",
    "table2",
    "table3",
    "threshold_at_sensitivity",
    "threshold_with_guarantee",
    "videos_needed",
    "with_target",
]
