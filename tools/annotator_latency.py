"""How quick the annotator is: key to painted picture, held keys, 100 labels, memory.

Makes an hour of 1080p H.264 video with a key frame every ten seconds, opens the annotator on it in
JupyterLab in a headless Chromium, and presses keys. Needs playwright and Chromium. Times run from
the key event to the frame of the screen after the one in which the picture was drawn.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import lab_browser
from clipassistnet import files

FPS, GROUP = 25, 250
MEASURED: list[dict[str, str]] = []  # what was printed, for --out
REVIEW = """
import numpy as np, pandas as pd
from pathlib import Path
from clipassistnet.annotate import videos
from clipassistnet.annotate.review import review
frames = np.arange(videos.source_of(Path("data/hour.mp4")).length)
score = 0.5 + 0.45 * np.sin(frames / 900) * np.cos(frames / 7)
label = np.where(np.sin(frames / 90) > 0, "visible", "invisible")
review("data/hour.mp4", pd.DataFrame({"frame": frames, "score": score, "label": label}))"""
HOLD = """([key, milliseconds]) => new Promise((done) => {
    const root = document.querySelector('.can-root');
    const begun = performance.now();
    const timer = setInterval(() => {
        root.dispatchEvent(new KeyboardEvent('keydown', { key, repeat: true, bubbles: true }));
        if (performance.now() - begun > milliseconds) { clearInterval(timer); done(); }
    }, 33);
})"""
NOTE = """
window.canTimes = [];
document.addEventListener('painted', (event) => {
    window.canPainted = event.detail.place;
    requestAnimationFrame(() => window.canTimes.push([event.detail.key, performance.now()]));
}, true);
"""


def texture(width: int, height: int) -> np.ndarray:
    """A picture with structure at every scale, as tissue has."""
    random = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for step in range(2, 9):
        small = random.random((height >> step, width >> step, 3), np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) * 2**step
    total = (total - total.min()) / (total.max() - total.min())
    return (total * [200, 120, 110] + random.normal(0, 3, total.shape)).clip(0, 255).astype("uint8")


def write_video(path: Path, seconds: int, part: int = 20) -> None:
    """An MP4 of 1920 x 1080 pictures: `part` seconds are encoded, and repeated without recoding."""
    picture = texture(2400, 1400)
    with av.open(str(path.with_suffix(".part.mp4")), "w") as container:
        options = {"g": str(GROUP), "keyint_min": str(GROUP), "bf": "2", "crf": "24"}
        stream = container.add_stream("libx264", rate=FPS, options=options | {"preset": "faster"})
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for index in range(part * FPS):
            x, y = 240 + 200 * np.sin(index / 40), 160 + 120 * np.cos(index / 55)
            move = np.float32([[1, 0, -x], [0, 1, -y]])
            shown = cv2.warpAffine(picture, move, (1920, 1080), borderMode=cv2.BORDER_REFLECT)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path), "w") as out:
        for turn in range(seconds // part):
            with av.open(str(path.with_suffix(".part.mp4"))) as source:
                given = source.streams.video[0]
                if not turn:
                    copied = out.add_stream_from_template(given)
                    length = int(part / given.time_base)
                for packet in source.demux(given):
                    if packet.dts is not None:
                        packet.pts, packet.dts = (
                            at + turn * length for at in (packet.pts, packet.dts)
                        )
                        packet.stream = copied
                        out.mux(packet)
    path.with_suffix(".part.mp4").unlink()


class Keys:
    """Presses keys in the page and collects the times."""

    def __init__(self, page) -> None:
        self.page = page

    def times(self) -> list[float]:
        """Milliseconds from key to painted picture since the last call."""
        found = self.page.evaluate("(() => window.canTimes.splice(0))()")
        return [painted - key for key, painted in found if key]

    def press(self, key: str, count: int, pause: float) -> list[float]:
        self.times()
        for _ in range(count):
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(1000 * pause)
        lab_browser.settle(self.page)
        self.page.wait_for_timeout(100)
        return self.times()

    def hold(self, key: str, seconds: float) -> float:
        """Pictures a second while a key is held that repeats thirty times a second."""
        self.times()
        start = time.monotonic()
        self.page.evaluate(HOLD, [key, 1000 * seconds])
        return len(self.times()) / (time.monotonic() - start)


def measure(folder: Path, minutes: float, video: Path | None, only: str | None) -> None:
    """Print every figure as soon as it is known, in one session."""
    (folder / "data").mkdir()
    if video is None:
        write_video(folder / "data" / "hour.mp4", int(60 * minutes))
    else:
        (folder / "data" / "hour.mp4").symlink_to(video.resolve())
    show({"video, MB": (folder / "data" / "hour.mp4").stat().st_size / 2**20})
    with lab_browser.server(folder) as address, lab_browser.browser() as browser:
        if only != "review":
            annotator(browser, folder, address, "chronological", rate=25)
            annotator(browser, folder, address, "shuffled", rate=5)
        if only != "annotator":
            show(review(browser, folder, address))


def annotator(browser, folder: Path, address: str, order: str, rate: int) -> None:
    """Print the annotator's figures in one order, with `rate` frames a second."""
    chronological = order == "chronological"
    choice = f"Choice(per_second={rate}, chronological={chronological})"
    code = ["from clipassistnet.annotate import Choice, annotate"]
    code += [f"annotate('data', '{order}', {choice})"]
    lab_browser.write_notebook(folder / f"{order}.ipynb", "\n".join(code))
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    page.add_init_script(NOTE)
    start = time.monotonic()
    lab_browser.open_notebook(page, address, f"{order}.ipynb")
    lab_browser.run_first(page)
    lab_browser.wait_for_picture(page)
    show({f"{order}: s to the first picture": time.monotonic() - start})
    keys = Keys(page)
    if chronological:
        show(in_order(page, keys))
    show(labels(page, keys, order))
    show({f"{order}: kernel, MB": kernel_memory(address, f"{order}.ipynb")})
    page.close()


def review(browser, folder: Path, address: str) -> dict[str, float]:
    """Milliseconds in which the review draws score, labels and alarms of the whole video."""
    lab_browser.write_notebook(folder / "review.ipynb", REVIEW)
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    page.add_init_script(NOTE)
    lab_browser.open_notebook(page, address, "review.ipynb")
    lab_browser.run_first(page)
    page.wait_for_selector(".can-root[data-drawn]", timeout=120_000)
    page.locator(".can-canvas").click()
    found = []
    for key in ["End", "Home"] * 20:
        page.keyboard.press(key)  # another place: the whole chart is drawn anew
        page.wait_for_timeout(200)
        found.append(float(page.get_attribute(".can-root", "data-drawn")))
    page.close()
    return {
        "review, the whole video drawn: median, ms": statistics.median(found),
        "review, the whole video drawn: 95 %, ms": float(np.percentile(found, 95)),
    }


def show(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:55} {value:8.1f}", flush=True)
        MEASURED.append({"what": name, "measured": f"{value:.1f}"})


def in_order(page, keys: Keys) -> dict[str, float]:
    figures: dict[str, float] = {}
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(5000)
    for name, key in (("forward", "ArrowRight"), ("backward", "ArrowLeft")):
        found = keys.press(key, 100, 0.15)
        figures[f"{name}: median, ms"] = statistics.median(found)
        figures[f"{name}: 95 %, ms"] = float(np.percentile(found, 95))
    figures["held forward, pictures a second"] = keys.hold("ArrowRight", 8)
    figures["held backward, pictures a second"] = keys.hold("ArrowLeft", 8)
    return figures


def labels(page, keys: Keys, name: str) -> dict[str, float]:
    """One hundred labels, each as soon as the picture before it is shown and its label saved."""
    keys.times()
    start = time.monotonic()
    for index in range(100):
        lab_browser.settle(page)
        page.keyboard.press("v" if index % 3 else "b")
    lab_browser.settle(page)
    took = time.monotonic() - start
    paced = keys.press("v", 40, 0.8)
    return {
        f"{name}: s for 100 labels": took,
        f"{name}: label a picture every 0.8 s, 95 %, ms": float(np.percentile(paced, 95)),
    }


def kernel_memory(address: str, notebook: str) -> float:
    """Resident memory of a notebook's kernel in MB."""
    url = f"{address}/api/sessions?token={lab_browser.TOKEN}"
    sessions = json.load(urllib.request.urlopen(url))
    (kernel,) = [each["kernel"]["id"] for each in sessions if each["path"] == notebook]
    lines = [(each, each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
    return sum(each.memory_info().rss for each, line in lines if kernel in " ".join(line)) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="length of the video")
    parser.add_argument("--video", type=Path, help="measure on this file, in place of a made one")
    parser.add_argument("--only", choices=("annotator", "review"), help="measure this alone")
    parser.add_argument("--out", type=Path, help="CSV file for the figures")
    given = parser.parse_args()
    if reason := lab_browser.missing():
        sys.exit(reason)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before"
    print(machine, flush=True)
    MEASURED.append({"what": f"{datetime.date.today()}, {machine}", "measured": ""})
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.minutes, given.video, given.only)
    if given.out:
        files.write(given.out, pd.DataFrame(MEASURED).to_csv(index=False))


if __name__ == "__main__":
    main()
