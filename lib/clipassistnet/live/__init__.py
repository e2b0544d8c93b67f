"""Live feedback in the operating room. It never says "visible" when it does not know.

For research. Not a medical device. The live loop runs on Python 3.8 with numpy and OpenCV, and with
torch, torchvision and timm for the network. Recording, and the overlay video of a file, need PyAV.
"""
