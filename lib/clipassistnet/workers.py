"""Worker processes that end with the process that started them, however that ends."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread

import cv2


def pool(processes: int) -> ProcessPoolExecutor:
    """So many fresh processes of one OpenCV thread each."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _start)


def _start() -> None:
    cv2.setNumThreads(1)  # processes are the unit of parallel work
    # After kill -9 of the parent no orphan goes on computing, or waits for work for ever.
    Thread(target=lambda: (parent_process().join(), os._exit(1)), daemon=True).start()
