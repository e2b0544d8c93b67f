"""Files that are written whole or not at all, their hashes, and locks."""

BATCH = "CLIPASSISTNET_RUN"  # environment variable of a batch run: the folder that it writes to
