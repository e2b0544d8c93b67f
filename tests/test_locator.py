"""The locator: maps to boxes, crops, training, and its form for conversion."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet import deploy, model, transforms
from clipassistnet.data import dataset, tool_boxes, video_source
from clipassistnet.evaluation.discrimination import auroc
from clipassistnet.model import crops, cross_fitting, cutting, locator, locator_training

SHARE = st.floats(0, 0.6)
SIDE = st.floats(0.1, 0.4)


def picture(box, seed, side=64):
    """A noisy dark frame with a bright box (shares of the frame), or without one (None)."""
    frame = np.random.default_rng(seed).integers(0, 60, (side, side, 3), dtype=np.uint8)
    if box is not None:
        x0, y0, x1, y1 = (np.array(box) * side).astype(int)
        frame[y0:y1, x0:x1] += np.array([180, 180, 120], dtype=np.uint8)
    return frame


def scenes(count, seed):
    """Frames (N, 64, 64, 3) and their boxes; every fourth has none."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 0.5, (count, 2)), rng.uniform(0.25, 0.5, (count, 2))
    boxes = np.hstack([corner, corner + side])
    boxes[::4] = np.nan
    frames = [picture(None if np.isnan(b).any() else b, seed + i) for i, b in enumerate(boxes)]
    return np.stack(frames), boxes


@given(x=SHARE, y=SHARE, width=SIDE, height=SIDE)
@settings(max_examples=50)
def test_decoding_undoes_encoding(x, y, width, height):
    box = torch.tensor([[x, y, x + width, y + height]])
    confidence, distances = locator_training.encode(box, torch.empty(1, 5, 16, 16))
    maps = torch.cat([20 * confidence - 10, distances], dim=1)
    found, presence = locator.decode(maps)
    assert torch.allclose(found, box, atol=1e-4)
    assert presence > 0.89  # the least: a box of two cells, whose middle is where four cells meet


def test_a_frame_without_an_applier_asks_for_no_confidence():
    boxes = torch.tensor([[0.2, 0.2, 0.6, 0.5], [torch.nan] * 4])
    confidence, distances = locator_training.encode(boxes, torch.empty(2, 5, 16, 16))
    assert confidence[0].max() > 0.9
    assert not confidence[1].any()
    assert not distances[1].any()
    assert torch.isfinite(locator_training.loss(torch.zeros(2, 5, 16, 16), boxes))


def test_a_crop_is_what_lies_in_the_box():
    frame = np.zeros((40, 80, 3), np.uint8)
    frame[10:20, 40:60] = 200
    inside = cutting.crop(frame, np.array([0.5, 0.25, 0.75, 0.5]), 16)
    assert inside.shape == (16, 16, 3)
    assert (inside[1:-1, 1:-1] == 200).all()  # the outermost pixels blend with their neighbours
    twice_as_wide = cutting.crop(frame, np.array([0.25, 0.25, 0.75, 0.5]), 16)
    assert not twice_as_wide[:, :7].any()
    assert (twice_as_wide[1:-1, 9:-1] == 200).all()


def test_a_crop_follows_its_box_between_pixels():
    ramp = np.repeat(np.arange(0, 240, 3, dtype=np.uint8)[None, :, None], 48, axis=0)
    frame = np.repeat(ramp, 3, axis=2)  # 3 grey levels a pixel from left to right
    box = np.array([0.25, 0.25, 0.75, 0.75])
    shown = cutting.crop(frame, box, 40).astype(float)
    for shift in (0.001, 0.3, 0.5, 1.0):  # pixels
        right = np.array([shift, 0, shift, 0]) / 80
        moved = cutting.crop(frame, box + right, 40).astype(float)
        assert abs((moved - shown).mean() - 3 * shift) <= 0.5  # of a rounded grey level
    hardly = cutting.crop(picture(None, 0), box + 1e-6, 40).astype(int)
    assert np.abs(hardly - cutting.crop(picture(None, 0), box, 40)).max() <= 2


def test_a_window_is_a_crop_that_is_not_rounded():
    frame, box = picture([0.25, 0.25, 0.5, 0.5], 0), np.array([0.2, 0.3, 0.5, 0.6])
    seen = cutting.window(frame, box, 24)
    cut = cutting.crop(frame, box, 24, cutting.WINDOW)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(np.rint(seen), cut)
    moved = cutting.window(frame, box + 1e-6, 24) - seen
    assert 0 < np.abs(moved).max() < 0.02  # no pixel jumps by a whole grey level


@pytest.mark.parametrize("box", [[0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1], [0.6, 0.6, 0.4, 0.4]])
def test_a_box_of_no_size_is_a_small_crop(box):
    assert cutting.crop(picture(None, 0), np.array(box, float), 8).shape == (8, 8, 3)


@pytest.fixture(scope="module")
def trained():
    network, (frames, boxes) = locator.new(0), scenes(24, seed=0)
    shown = locator_training.shown_maps(network, frames, boxes, seeds=range(24), views=2)
    locator_training.fit(network.head, *shown, seed=0, epochs=14)
    boxed = ~np.isnan(boxes).any(axis=1)
    given = {"seeds": range(boxed.sum()), "windows": 8}
    shown = locator_training.shown_windows(network, frames[boxed], boxes[boxed], **given)
    locator_training.fit(network.closer_head, *shown, seed=0, epochs=14)
    return network.eval()


def test_it_finds_in_new_frames_what_it_was_shown(trained):
    frames, truth = scenes(16, seed=100)
    boxes, presence = trained.find(frames)
    shown = ~np.isnan(truth).any(axis=1)
    assert auroc(shown.astype(int), presence) > 0.9
    assert np.array_equal(trained.presence(frames), presence)
    centre = np.array([0.3, 0.3, 0.7, 0.7])
    error, guess = (np.abs(found - truth)[shown].mean() for found in (boxes, centre))
    assert error < guess / 2


def test_a_closer_look_finds_more_exactly(trained, monkeypatch):
    frames, truth = scenes(24, seed=200)
    shown = ~np.isnan(truth).any(axis=1)
    closer = trained.find(frames)[0]
    monkeypatch.setattr(cutting, "CLOSER_LOOKS", 0)
    first = trained.find(frames)[0]
    errors = [np.abs(found - truth)[shown].mean() for found in (first, closer)]
    assert errors[1] < 0.8 * errors[0]


@given(x=SHARE, y=SHARE, width=SIDE, height=SIDE, dx=st.floats(-0.1, 0.1), dy=st.floats(-0.1, 0.1))
@settings(max_examples=50)
def test_what_is_seen_in_a_window_lies_at_its_place_in_the_frame(x, y, width, height, dx, dy):
    frame = np.zeros((48, 80, 3), np.uint8)
    box = np.array([x, y, x + width, y + height])
    guess = np.clip([x + dx * width, y + dy * height, x + width, y + height], 0, 1)
    seen = cutting.in_window(frame, guess, box)
    assert np.allclose(cutting.from_window(frame, guess, seen), box, atol=1e-9)
    # What a window shows is what `crop` cuts: its middle half is the guess.
    middle = cutting.from_window(frame, guess, np.array([0.25, 0.25, 0.75, 0.75]))
    assert np.allclose(middle, guess, atol=1e-9)


def test_windows_show_the_applier_where_their_boxes_say(trained, monkeypatch):
    frames, boxes = scenes(8, seed=3)
    boxed = ~np.isnan(boxes).any(axis=1)
    pictures = []
    monkeypatch.setattr(
        trained, "features", lambda p, _: pictures.append(p) or torch.zeros(len(p), 1)
    )
    _, targets = locator_training.shown_windows(
        trained, frames[boxed], boxes[boxed], seeds=range(6), windows=1
    )
    for window, (x0, y0, x1, y1) in zip(pictures[0], targets * 160, strict=True):
        inside = window[int(y0) + 4 : int(y1) - 4, int(x0) + 4 : int(x1) - 4]
        assert inside.mean() > 150  # the bright box, but for a margin
        assert window.mean() < inside.mean()


def test_only_the_heads_are_trained(trained):
    torch.manual_seed(0)
    fresh = locator.Locator()
    for part, moved in (("trunk", False), ("head", True), ("closer_head", True)):
        before, after = (getattr(x, part).state_dict().values() for x in (fresh, trained))
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) == moved


@pytest.mark.parametrize("box", [[np.nan] * 4, [0.5, 0.2, 0.4, 0.6], [0.1, np.nan, 0.4, 0.6]])
def test_training_refuses_boxes_that_are_none(box):
    network, frame = locator.new(0), np.zeros((1, 32, 32, 3), np.uint8)

    def train():
        shown = locator_training.shown_maps(network, frame, np.array([box]), seeds=[0], views=0)
        locator_training.fit(network.head, *shown, seed=0, epochs=1)

    with pytest.raises(ValueError, match="box"):
        train()


def test_it_converts(trained):
    assert deploy.operations(deploy.convertible(trained.plain()), 256) <= deploy.CONVERTERS


def test_a_saved_locator_finds_the_same(trained, tmp_path):
    locator.save(trained, tmp_path / "locator.safetensors")
    loaded = locator.load(tmp_path / "locator.safetensors")
    frames = scenes(2, seed=5)[0]
    assert np.array_equal(loaded.find(frames)[0], trained.find(frames)[0])
    assert [path.name for path in tmp_path.iterdir()] == ["locator.safetensors"]


def test_a_file_of_another_network_is_no_locator(trained, tmp_path):
    path = tmp_path / "locator.safetensors"
    model.save(model.build("test_resnet", "none"), path)
    with pytest.raises(model.ModelError, match=r"locator\.safetensors: not a locator that"):
        locator.load(path)
    old = copy.deepcopy(trained)
    del old.closer_head, old.spec["window_size"]
    locator.save(old, path)
    with pytest.raises(model.ModelError, match=r"locator\.safetensors: a locator of an older vers"):
        locator.load(path)
    wider = copy.deepcopy(trained)
    wider.spec["width"] += 1
    locator.save(wider, path)
    with pytest.raises(model.ModelError, match=r"(?s)locator\.safetensors: .*size mismatch"):
        locator.load(path)


class OneFrame:
    size = 64

    def get(self, video, frame):
        return picture([0.25, 0.25, 0.5, 0.5], seed=frame)

    def digest(self, video=None):
        return "cache"


def test_crops_stand_in_for_the_frame_cache():
    boxes = pd.DataFrame({"video": ["v01"], "frame": [7]}).assign(x0=0.25, y0=0.25, x1=0.5, y1=0.5)
    one = crops.CroppedFrames(OneFrame(), boxes, 32)
    assert one.get("v01", 7).shape == (32, 32, 3)
    assert one.get("v01", 7)[1:-1, 1:-1].min() >= 120  # within the bright box
    moved = crops.CroppedFrames(OneFrame(), boxes.assign(x0=0.2), 32)
    assert one.digest() != moved.digest()
    with pytest.raises(KeyError):
        one.get("v01", 8)


class Scenes:
    """A cache of pictures with a box in all but every fourth frame, and its true boxes."""

    size = 64

    def __init__(self, videos, count):
        pictures, truth = scenes(len(videos) * count, seed=7)
        self.table = pd.DataFrame([(v, f) for v in videos for f in range(count)])
        self.table.columns = ["video", "frame"]
        keys = self.table.itertuples(index=False, name=None)
        self.pictures = dict(zip(keys, pictures, strict=True))
        boxes = pd.concat([self.table, pd.DataFrame(truth, columns=locator.CORNERS)], axis=1)
        self.truth = boxes.dropna()

    def get(self, video, frame):
        return self.pictures[video, frame]

    def digest(self, video=None, frames=None):
        return f"scenes {video} {frames}"


SUBSETS = {"v01": "0", "v02": "1", "v03": "1", "v04": "2"}
GIVEN = {"size": 16, "margin": 1.0, "seed": 0}


@pytest.fixture
def shared(trained, monkeypatch):
    """Parts of a training, and which videos each locator that is trained has seen."""
    cache, learnt = Scenes(list(SUBSETS), 6), []

    def fit(head, maps, boxes, *, seed, epochs):
        learnt.append(len(maps))
        head.load_state_dict(trained.head.state_dict())

    monkeypatch.setattr(locator_training, "fit", fit)
    frames = cache.table.assign(subset=cache.table["video"].map(SUBSETS))
    train, validation, judged = (frames[frames["subset"] == s] for s in "120")
    return cache, (train, validation, judged), learnt


def searched(monkeypatch):
    """Pairs of (network, videos) that `find_boxes` is asked for."""
    asked = []
    real = crops.find_boxes

    def find_boxes(network, cache, table, folder):
        asked.append(set(table["video"]))
        return real(network, cache, table, folder)

    monkeypatch.setattr(crops, "find_boxes", find_boxes)
    return asked


def test_training_frames_are_cropped_by_their_boxes_and_judged_ones_by_found_ones(
    shared, tmp_path, monkeypatch
):
    cache, parts, learnt = shared
    asked = searched(monkeypatch)
    boxed = parts[0].merge(cache.truth[crops.KEY], on=crops.KEY)
    twice = pd.concat([boxed, boxed])  # a row for each of a frame's labels
    made = cross_fitting.crop(
        cache, cache.truth, parts, twice, cross_fitted=False, folder=tmp_path, **GIVEN
    )
    truth = {(v, f): box for v, f, *box in cache.truth.itertuples(index=False)}
    equal = {key: np.allclose(box, truth.get(key, 9)) for key, box in made.frames.boxes.items()}
    assert {video for (video, _), same in equal.items() if same} == {"v02", "v03"}
    assert len(equal) == len(boxed) + len(parts[1]) + len(parts[2])
    assert made.frames.again is None
    # Two heads each: without the fold that validates; of all but the judged patients.
    assert len(learnt) == 4
    assert asked == [{"v04"}, {"v01"}]
    assert len(made.boxes) == len(equal)
    for table in (parts[:2] + parts[1:2], parts[:1] + parts[:1] + parts[2:]):
        with pytest.raises(ValueError, match=r"crops: videos .* are among the"):
            cross_fitting.crop(
                cache, cache.truth, table, twice, cross_fitted=True, folder=tmp_path, **GIVEN
            )


def test_no_frame_is_found_by_a_locator_that_has_seen_its_patient(shared, tmp_path, monkeypatch):
    cache, parts, learnt = shared
    seen = {}
    real = cross_fitting._fit

    def fit(cache, boxes, known, without, seed, folder):
        paths = real(cache, boxes, known, without, seed, folder)
        maps = cross_fitting._maps(cache, boxes, known, seed, folder)
        seen.update({each: {v for v in maps if SUBSETS[v] != each} for each in without})
        return paths

    monkeypatch.setattr(cross_fitting, "_fit", fit)
    asked = searched(monkeypatch)
    made = cross_fitting.crop(
        cache, cache.truth, parts, parts[0], cross_fitted=True, folder=tmp_path, **GIVEN
    )
    assert seen == {"1": {"v04"}, "2": {"v02", "v03"}, None: {"v02", "v03", "v04"}}
    assert asked == [{"v02", "v03"}, {"v04"}, {"v01"}]
    assert set(made.frames.again.boxes) == set(
        zip(parts[0]["video"], parts[0]["frame"], strict=True)
    )
    before = len(learnt)
    again = cross_fitting.crop(
        cache, cache.truth, parts, parts[0], cross_fitted=True, folder=tmp_path, **GIVEN
    )
    assert len(learnt) == before  # kept
    assert again.frames.digest() == made.frames.digest()
    other = GIVEN | {"seed": 1}
    cross_fitting.crop(
        cache, cache.truth, parts, parts[0], cross_fitted=False, folder=tmp_path, **other
    )
    assert len(learnt) > before


def test_a_locator_sees_no_more_frames_than_it_needs(shared, tmp_path, monkeypatch):
    cache, parts, learnt = shared
    monkeypatch.setattr(cross_fitting, "MOST_FRAMES", 8)  # two of each video
    cross_fitting.crop(
        cache, cache.truth, parts, parts[0], cross_fitted=False, folder=tmp_path, **GIVEN
    )
    # Eight windows of two frames of each video: of one, two and three videos. Whole frames are
    # shown in four views, with at most as many frames without an applier.
    assert {16, 32, 48} <= set(learnt)
    assert max(learnt) == 48


def test_a_locator_needs_boxes_of_other_subsets(shared, tmp_path):
    cache, parts, _ = shared
    boxes = cache.truth[cache.truth["video"] == "v04"]  # of the fold that validates alone
    with pytest.raises(ValueError, match="no training frame without subset 2 has a box"):
        cross_fitting.crop(
            cache, boxes, parts, parts[0], cross_fitted=False, folder=tmp_path, **GIVEN
        )


def test_without_boxes_the_locator_that_comes_with_the_project_finds_them(
    shared, trained, tmp_path, monkeypatch, capsys
):
    cache, parts, learnt = shared
    parts = tuple(part.assign(patient="P" + part["video"]) for part in parts)
    path = tmp_path / locator.FILE
    monkeypatch.setattr(cross_fitting, "SHIPPED", str(path))
    locator.save(trained, path, ["cholec80_61"])
    none = tool_boxes.of_clip_applier(dataset.Dataset(None, None, None))
    given = {**GIVEN, "cross_fitted": True, "folder": tmp_path}
    made = cross_fitting.crop(cache, none, parts, parts[0], **given)
    assert "No boxes: the locator that comes with the project" in capsys.readouterr().out
    assert learnt == []
    frames = pd.concat(parts)
    assert set(made.frames.boxes) == set(zip(frames["video"], frames["frame"], strict=True))
    assert made.boxes["presence"].notna().all()
    assert locator.digest(made.locator) == locator.digest(trained)
    assert made.frames.again is None
    locator.save(trained, path, ["cholec80_61", "Pv04"])
    with pytest.raises(ValueError, match="trained on the patients Pv04: expected boxes, other"):
        cross_fitting.crop(cache, none, parts, parts[0], **given)


def test_a_box_moves_with_its_picture():
    view = transforms.views()
    overlaps = []
    for seed in range(40):
        box = np.array([0.3, 0.35, 0.6, 0.65])
        frame, moved = transforms.augment_boxed(view, picture(box, seed, side=96), box, (seed,))
        if np.isnan(moved).any():
            continue
        y, x = np.nonzero(frame.mean(axis=2) > 110)
        bright = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) / 96
        low, high = np.maximum(bright[:2], moved[:2]), np.minimum(bright[2:], moved[2:])
        both = np.prod(np.clip(high - low, 0, None))
        areas = [np.prod(each[2:] - each[:2]) for each in (bright, moved)]
        overlaps.append(both / (sum(areas) - both))
    assert len(overlaps) > 35
    assert np.median(overlaps) > 0.75
    frame, none = transforms.augment_boxed(view, picture(None, 0), np.full(4, np.nan), (0,))
    assert np.isnan(none).all()


def test_boxes_in_pixels_become_shares_of_the_frame(monkeypatch):
    monkeypatch.setattr(video_source, "original", lambda *_: np.zeros((50, 100, 3), np.uint8))
    rows = [("v01", 3, "Clipper", 10, 20, 20, 30), ("v01", 3, "Clipper", 50, 0, 100, 25)]
    rows += [("v01", 4, "Grasper", 0, 0, 9, 9)]
    columns = ["video", "frame", "tool", *locator.CORNERS]
    data = dataset.Dataset(None, None, None, boxes=pd.DataFrame(rows, columns=columns))
    assert tool_boxes.of_clip_applier(data).to_numpy().tolist() == [["v01", 3, 0.5, 0.0, 1.0, 0.5]]
    data = dataset.Dataset(None, None, None, boxes=pd.DataFrame(rows[2:], columns=columns))
    assert tool_boxes.of_clip_applier(data).empty
    bare = tool_boxes.of_clip_applier(dataset.Dataset(None, None, None))
    assert bare.columns.tolist() == [*crops.KEY, *locator.CORNERS]
    assert bare.empty
    assert pd.DataFrame({"video": ["v01"], "frame": [3]}).merge(bare).empty


def test_a_network_that_judges_crops_is_not_deployed_on_whole_frames():
    network = model.build("tf_efficientnet_lite0", "none")
    network.spec.update(image_size=32, cropped=0)
    model.EnsembleModule([network])
    network.spec["cropped"] = 448
    with pytest.raises(model.ModelError, match="crops"):
        model.EnsembleModule([network])


def test_a_margin_shows_grey_outside_the_frame():
    frame = np.full((40, 80, 3), 200, np.uint8)
    box = np.array([0.5, 0.5, 1.0, 1.0])
    tight = cutting.crop(frame, box, 20)
    assert (tight[:-1, :-1] == 200).all()  # the outermost pixels blend with the grey
    # Twice the box: a quarter of the crop lies beyond the frame on the right and below.
    wide = cutting.crop(frame, box, 20, margin=2.0)
    assert (wide[:14, :14] == 200).all()
    assert (wide[16:] == cutting.GREY).all()
    assert (wide[:, 16:] == cutting.GREY).all()
