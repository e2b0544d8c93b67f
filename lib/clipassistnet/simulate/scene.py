"""The scene of a video: tissue, clips that were left, tools, joined for each frame."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from clipassistnet.simulate import instruments, raster
from clipassistnet.simulate.clipping_action import ClippingAction
from clipassistnet.simulate.instruments import ClipperModel
from clipassistnet.simulate.meshes import Surface, join
from clipassistnet.simulate.motion import Moment, Motion, Tool
from clipassistnet.simulate.virtual_patient import opening_direction

LEFT_CLIP = 19  # owner of clips that were left: they hide a tip as tissue does
DENT = 7.0  # mm; how far around the applier the tissue gives way

_clipper = lru_cache(maxsize=128)(instruments.clipper)
_hook = lru_cache(maxsize=1)(instruments.hook)


@lru_cache(maxsize=64)
def _grasper(step: int) -> Surface:
    return instruments.grasper(step / 20)


def _left_clip(model: ClipperModel, action: ClippingAction) -> Surface:
    """The closed clip around the vessel, where the action left it."""
    rotation = instruments.pose(action.axis, opening_direction(action.axis, action.roll))
    legs = [instruments.clip_leg(model, sign, 0.12, LEFT_CLIP) for sign in (1, -1)]
    return join(legs).moved(rotation, action.place - action.axis * 0.68 * model.length)


class Scene:
    """All surfaces of a video."""

    def __init__(self, motion: Motion):
        self.model = motion.model
        self.tissue = [motion.patient.tissue]
        self.tissue += [_left_clip(self.model, action) for action in motion.actions]

    def surface(self, moment: Moment) -> Surface:
        """Everything that can be seen at a moment, as one surface."""
        tools = [self._tool(tool) for tool in moment.tools]
        whole = join([*tools, *self.tissue[: 1 + moment.clips]])  # near things first
        still = whole.data[sum(len(tool.data) for tool in tools) :]
        dent = (np.float32(vector) for vector in moment.dent)
        raster.settle(still, np.float32(moment.tissue), *dent, np.float32(DENT))
        return whole

    def _tool(self, tool: Tool) -> Surface:
        if tool.kind == "clipper":
            surface = _clipper(self.model, tool.opening, tool.loaded)
        elif tool.kind == "hook":
            surface = _hook()
        else:
            surface = _grasper(round(tool.opening * 20))
        return surface.moved(tool.rotation, tool.origin)
