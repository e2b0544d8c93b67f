"""The Jupyter kernel of a batch run: the ordinary one, except that it dies with the runner."""

from ipykernel.kernelapp import launch_new_instance

from .process import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    launch_new_instance()
