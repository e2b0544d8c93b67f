"""What a study reports: metrics, intervals over patients, and the paper's tables and figures.

Positive class: tip invisible (target 1); scores are p(invisible). One module for each subject.
This file hands on no names: a notebook depends on the modules that it imports, and a change in one
of them must rerun only the notebooks that use it.
"""
