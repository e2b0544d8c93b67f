"""Measure how real the simulator is: beside real frames, and by what a network learns from it.

    python tools/simulator_realism.py --real M2CAI16 --simulated DATASET --out FOLDER

writes figures.csv (the five figures), statistics.csv, a contact sheet of both kinds, one of
simulated frames, and a figure of the statistics. The first sheet shows real patients' pixels: it
stays out of the repository.
"""

# Patients whose frames may guide a choice of the simulator's settings. The others only judge it.
DEVELOPMENT = ("v03", "v05", "v08")
SIZE = 128  # pixels, of the pictures that are measured and learnt from
BACKBONE = "tf_efficientnet_lite0"
