"""What is learnt from simulated frames alone, tested on real patients."""

from pathlib import Path

import pandas as pd

from clipassistnet import training
from clipassistnet.metrics import auroc, bootstrap

from . import BACKBONE, DEVELOPMENT, SIZE
from .probes import A_PATIENT, thinned
from .samples import Samples

SETTINGS = training.Settings(
    backbone=BACKBONE, weights="imagenet", trainable_stages=2, image_size=SIZE, loss="bce",
    learning_rate=3e-4, batch_size=64, accumulate=1, epochs=4, seed=0,
)  # fmt: skip


def learn(simulated: Samples, real: Samples, folder: Path) -> pd.DataFrame:
    """Train on simulated frames, a share of the simulated patients for validation; score real ones.

    Returns:
        The real frames' table with p(invisible) as `score`.
    """
    patients = simulated.table["patient"].to_numpy()
    table = simulated.table.iloc[thinned(patients, A_PATIENT)]
    kept = table["patient"].isin(sorted(table["patient"].unique())[::6])
    fit = training.fit(SETTINGS, table[~kept], table[kept], simulated.cache, None, folder)
    scores = training.predict(fit.model, real.table, real.cache)
    return real.table.assign(score=scores)


def judged(scored: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """AUROC with its interval over patients: of all, of those for development, of the judges."""
    development = scored["patient"].isin(patients_for_development(scored))
    groups = {"all": scored, "development": scored[development], "judges": scored[~development]}
    return {name: tuple(bootstrap(rows, auroc, by="patient")) for name, rows in groups.items()}


def patients_for_development(table: pd.DataFrame) -> set[str]:
    """Patients of the videos in DEVELOPMENT."""
    return set(table.loc[table["video"].isin(DEVELOPMENT), "patient"])
