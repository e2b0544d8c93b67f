"""The last line of a study: has its network learnt to see the tips?"""

import pandas as pd

from clipassistnet.evaluation.baselines import ENSEMBLE, interval, not_beaten

LEAST_AUROC = 0.80  # of the ensemble, on patients whom no network saw
LEAST_LOWER_BOUND = 0.65  # of its 95 % interval over patients


def verdict(baselines: pd.DataFrame, simulated: bool) -> str:
    """One or two sentences from the table `baselines` of notebook 06 (`baselines.compare`).

    They start with "This network has not learnt" where the AUROC or its lower bound is too low, or
    where a baseline is as good. A missing lower bound counts as too low.
    """
    ensemble = baselines[baselines["scorer"] == ENSEMBLE].iloc[0]
    noun = "patient" if ensemble["patients"] == 1 else "patients"
    patients = f"{ensemble['patients']} {'SIMULATED ' if simulated else ''}{noun}"
    if reasons := _reasons(baselines, ensemble):
        found = f"on {patients} the ensemble's AUROC is {interval(ensemble)}"
        return f"This network has not learnt to see the tips: {found}; {'; '.join(reasons)}."
    best = baselines[baselines["scorer"] != ENSEMBLE].sort_values("auroc").iloc[-1]
    found = f"the ensemble's AUROC is {interval(ensemble)}, above every baseline"
    found += f" (the best: {best['scorer']}, {best['auroc']:.2f})."
    limit = "simulated pictures and says nothing about real patients"
    if not simulated:
        limit = "these patients and says nothing about other hospitals, cameras or clip appliers"
    return (
        f"On {patients} whom no network saw, {found} This shows that the method works on {limit}."
    )


def _reasons(baselines: pd.DataFrame, ensemble: pd.Series) -> list[str]:
    """Why the network has not learnt; empty where it has."""
    reasons = []
    if not ensemble["auroc"] >= LEAST_AUROC:
        reasons.append(f"at least {LEAST_AUROC:.2f} is expected")
    if not ensemble["low"] >= LEAST_LOWER_BOUND:
        reasons.append(f"its lower bound is expected to be at least {LEAST_LOWER_BOUND:.2f}")
    if names := not_beaten(baselines):
        values = baselines.set_index("scorer")["auroc"]
        listed = ", ".join(f"{name} ({values[name]:.2f})" for name in names)
        reasons.append(f"it does not beat the baselines: {listed}")
    return reasons
