"""Statistics of pictures; do those of simulated ones lie in the range of the real patients?"""

import cv2
import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import auroc
from realism.samples import Samples

_LIT = 24  # 8-bit level from which a pixel belongs to the field of view
_EDGE = 12.0  # 8-bit levels a pixel
_SHINE = (60, 225)  # saturation below, value above: a highlight


def describe(picture: np.ndarray) -> dict[str, float]:
    """Statistics of one picture (H, W, 3) uint8 RGB, over the pixels that are not black.

    Hue (degrees) is counted from red, -180 to 180; saturation and value are 0 to 255; edge density
    is the share of pixels where the brightness changes by more than 12 levels a pixel; detail is
    the deviation of the Laplacian; shine the share of highlights, dark that of the unlit.
    """
    hue, saturation, value = (
        c.astype(np.float32) for c in cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    )
    lit = value > _LIT
    hue = 2 * ((hue + 90) % 180 - 90)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slope = np.hypot(*(cv2.Sobel(gray, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1))))
    # The rim of a round field of view is no edge of the scene.
    inner = cv2.erode(lit.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    shine = (saturation < _SHINE[0]) & (value > _SHINE[1])
    found = {"dark": float(1 - lit.mean()), "shine": float(shine[lit].mean())}
    for name, channel in (("hue", hue), ("saturation", saturation), ("value", value)):
        found |= {f"{name} mean": channel[lit].mean(), f"{name} spread": channel[lit].std()}
    found["edge density"] = (slope[inner] > _EDGE).mean()
    found["detail"] = cv2.Laplacian(gray, cv2.CV_32F)[inner].std()
    return {name: float(number) for name, number in found.items()}


def statistics(samples: Samples) -> pd.DataFrame:
    """One row a frame: patient, statistics of its picture and its box, whether it is visible."""
    table = pd.DataFrame([describe(picture) for picture in samples.pictures])
    box = samples.table[["area", "x", "y"]].add_prefix("clipper ")
    visible = 1.0 - samples.table["target"].rename("share visible")
    return pd.concat([samples.table["patient"], table, box, visible], axis=1)


def compare(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """One row a statistic: the real patients' mean, low and high, the simulated patients', within.

    A patient counts by the mean of its frames. `within`: the simulated mean lies between the lowest
    and the highest real patient. `auroc`: how well the statistic alone separates simulated frames
    from real ones.
    """
    ours, theirs = simulated.groupby("patient").mean(), real.groupby("patient").mean()
    rows = []
    for name in theirs.columns:
        low, high, mean = theirs[name].min(), theirs[name].max(), ours[name].mean()
        target = np.repeat([0, 1], [len(real), len(simulated)])
        apart = auroc(target, np.concatenate([real[name], simulated[name]]))
        rows.append(
            {"statistic": name, "real": theirs[name].mean(), "real low": low, "real high": high}
            | {"simulated": mean, "simulated low": ours[name].quantile(0.05)}
            | {"simulated high": ours[name].quantile(0.95), "within": low <= mean <= high}
            | {"auroc": apart}
        )
    return pd.DataFrame(rows)
