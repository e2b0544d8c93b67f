"""The Jupyter kernel of a batch run: it dies with the runner, and its warnings name no path."""

import warnings

from ipykernel.kernelapp import launch_new_instance

from clipassistnet.runs.process import die_with_parent


def without_path(message, category, filename, lineno, line=None) -> str:
    """A warning as `warnings.formatwarning` has it, but for where: that is a path of a machine."""
    return f"{category.__name__}: {message}\n"


if __name__ == "__main__":
    die_with_parent()
    warnings.formatwarning = without_path
    launch_new_instance()
