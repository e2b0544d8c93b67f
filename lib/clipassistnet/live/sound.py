"""An optional sound when the state changes, for a surgeon who does not look at the screen."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave

import numpy as np

from clipassistnet.alarm import State

_RATE = 22050  # samples a second
# Two falling tones for an alarm, one low tone for a lost signal. Silence is never a sign that a tip
# is visible.
_TONES = {State.NOT_VISIBLE: (880, 660), State.NO_SIGNAL: (220,)}  # hertz
_SECONDS = 0.15  # of a tone


class SoundError(RuntimeError):
    """A sound that cannot be played, and what would help."""


class Sound:
    """Plays a short tone for the states that have one, by ALSA's player.

    The player is a process of its own: no Python package for it is built for a Jetson, and a sound
    card that hangs must hold up nothing.
    """

    def __init__(self) -> None:
        """SoundError where there is no player."""
        player = shutil.which("aplay")
        if not player:
            raise SoundError("--sound needs the player aplay: apt install alsa-utils")
        self._player = player
        self._waves = {state: _wave(tones) for state, tones in _TONES.items()}
        self._playing: subprocess.Popen[bytes] | None = None

    def play(self, state: State) -> None:
        """Start the tone of this state, if it has one and no other is playing; never waits."""
        if state not in self._waves or (self._playing and self._playing.poll() is None):
            return
        try:
            self._playing = subprocess.Popen(
                [self._player, "--quiet", "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            # A pipe holds 64 KiB, which is more than these waves: this write does not wait.
            with self._playing.stdin as pipe:  # type: ignore[union-attr]
                pipe.write(self._waves[state])
        except OSError:  # no process could be started, or it ended at once for lack of a sound card
            pass


def _wave(tones: tuple[int, ...]) -> bytes:
    """A mono 16-bit WAV file of these tones (hertz), one after another, each fading out."""
    times = np.arange(int(_SECONDS * _RATE)) / _RATE
    samples = [np.sin(2 * np.pi * tone * times) * (1 - times / _SECONDS) for tone in tones]
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        out.writeframes((np.concatenate(samples) * 12000).astype("<i2").tobytes())
    return file.getvalue()
