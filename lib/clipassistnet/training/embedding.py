"""Where frames lie among the features that a head reads: a map, and who their neighbours are."""

from pathlib import Path

import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from clipassistnet import model
from clipassistnet.data.frame_cache import FrameCache
from clipassistnet.model import crops
from clipassistnet.training.feature_store import FeatureStore

COMPONENTS = 50  # of a principal component analysis, before the map is drawn
LEAST = 10  # frames; fewer make no map


def embed(
    checkpoint: Path, judged: pd.DataFrame, cache: FrameCache, folder: Path, seed: int
) -> pd.DataFrame:
    """The frames of a table with x and y, their places on a t-SNE map of the network's features.

    Further columns: same_patient and same_label, whether the nearest neighbour among the features
    has the same; chance_patient and chance_label, the shares of all other frames that have.
    Empty for a network without frozen features, and for too few frames.

    Args:
        checkpoint: a network, beside its boxes if it sees crops.
        judged: video, frame, patient, label; frames that the network judged.
        cache: of the frames, from which crops are cut.
        folder: in which features are kept.
        seed: of the map.
    """
    classifier = model.load(checkpoint)
    if "trunk_sha256" not in classifier.spec:
        return judged.iloc[:0]
    found = FeatureStore(folder, classifier, crops.as_judged(cache, classifier, checkpoint))
    features = found.get(judged)
    shown = (judged["label"] != "absent").to_numpy()
    if shown.sum() < LEAST:
        return judged.iloc[:0]
    table = judged[shown].reset_index(drop=True)
    with_applier = features[shown]
    scaled = (with_applier - with_applier.mean(axis=0)) / (with_applier.std(axis=0) + 1e-6)
    kept = min(COMPONENTS, *scaled.shape)
    reduced = PCA(kept, svd_solver="full").fit_transform(scaled)
    perplexity = min(30.0, (len(table) - 1) / 3)
    places = TSNE(perplexity=perplexity, random_state=seed, init="pca").fit_transform(reduced)
    nearest = NearestNeighbors(n_neighbors=1).fit(reduced).kneighbors(return_distance=False)[:, 0]
    table = table.assign(x=places[:, 0], y=places[:, 1])
    for column in ("patient", "label"):
        values = table[column].to_numpy()
        others = table.groupby(column)[column].transform("size").to_numpy() - 1
        table[f"same_{column}"] = values[nearest] == values
        table[f"chance_{column}"] = others / (len(table) - 1)
    return table


def finding(table: pd.DataFrame) -> str:
    """Whether frames lie beside frames of their patient or of their label. `table` of `embed`."""
    if table.empty:
        return "The recipe has no frozen features, or too few frames were judged: no map is drawn."
    share = table[["same_patient", "chance_patient", "same_label", "chance_label"]].mean()
    patient, label = (
        f"{share[f'same_{name}']:.0%} of the frames (by chance {share[f'chance_{name}']:.0%})"
        for name in ("patient", "label")
    )
    return (
        f"The nearest neighbour is of the same patient for {patient}, and has the same label for "
        f"{label}."
    )
