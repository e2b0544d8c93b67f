# The dependencies between runs. Snakemake orders the runs, in parallel and on clusters, and decides
# which may be out of date. Each run (clipassistnet run ...) then decides from the content of
# its parameters, code and inputs. Start it with `make study`, which also holds the lock.
#
# A run's output for Snakemake is the stamp .done: the runner replaces whole folders, and Snakemake
# deletes a rule's outputs before it starts. Notebooks and code are params (by content), not
# inputs. A saved output, a changed comment or a fresh clone therefore reruns nothing.
import shlex
import sys
from functools import cache
from pathlib import PurePath

from clipassistnet.data.cross_validation import DISTILLED, Training, members, rate_of
from clipassistnet.runs import name_key, root, runs_folder, study
from clipassistnet.runs.notebooks import code, notebook_path, parse_given
from clipassistnet.runs.provenance import fingerprint, weights_digest
from clipassistnet.runs.study import DEPLOY
from clipassistnet.runs.study_data import data_mark

STUDY = study.read(PurePath(config["study"]).stem)  # notebooks/studies/<name>.yaml
# From the project's folder, where Snakemake works: braces in its path would be wildcards.
OUT = runs_folder().relative_to(root()) / STUDY.name
STUDENT = [STUDY.student] if STUDY.student else []
ARMING = [STUDY.arming] if STUDY.arming else []
TRAINED = STUDY.trainings + STUDENT + ARMING
MAIN = [t for t in STUDY.trainings if (t.loss, t.recipe) == ("bce", STUDY.main)]
# exec: the run is Snakemake's own child, which ends with it.
RUN = f"exec {shlex.quote(sys.executable)} -m clipassistnet --child"


def done(notebook, key="once"):
    return f"{OUT}/{notebook}/{key}/.done"


def trained(trainings):
    return [done("05_train_fold", name_key(training._asdict())) for training in trainings]


def found(trainings):
    """The runs of the learning-rate finder, one for each loss and recipe whose rate it picks."""
    pairs = dict.fromkeys((rate_of(training.loss), training.recipe) for training in trainings)
    return [
        done("04_learning_rate", f"loss={loss},recipe={recipe}")
        for loss, recipe in pairs
        if STUDY.needs_finder(loss, recipe)
    ]


def training_needs(wildcards):
    """The runs that a training needs: the finder's, and for a student its teachers'."""
    finder = found([Training(wildcards.loss, wildcards.recipe, wildcards.held_out, 0)])
    if wildcards.loss != DISTILLED:
        return finder
    shared = STUDY.resolve(DEPLOY, {})
    folds = shared["folds_count"], shared["inner_folds"]
    return finder + trained(members(wildcards.recipe, wildcards.held_out, *folds))


def mark(notebook):
    """Parameters, code and starting weights of a run: when they change, it is out of date."""
    path = notebook_path(notebook)
    used_code = cache(code)

    def of_run(wildcards):
        given = parse_given([f"{name}={value}" for name, value in wildcards.items()], path)
        parameters = STUDY.resolve(notebook, given)
        return fingerprint(parameters, used_code(path)) + weights_digest(parameters)

    return of_run


wildcard_constraints:
    loss="|".join({training.loss for training in TRAINED}),
    recipe="|".join(STUDY.recipes),
    held_out="|".join({training.held_out for training in TRAINED}),
    fold="[0-9]+",


localrules:
    all,


rule all:
    input:
        done("01_annotation_agreement"),
        done("02_video_folds"),
        done("03_augmentation"),
        found(STUDY.trainings),
        trained(TRAINED),
        done("06_loss_comparison"),
        done("07_saliency"),
        done("08_ensemble_test"),
        done("09_jetson_deploy"),


if STUDY.simulation is not None:

    rule simulate:
        output:
            touch(f"{OUT}/.data.done"),
        params:
            mark=data_mark(STUDY),
        threads: workflow.cores
        shell:
            "{RUN} simulate --study {STUDY.name:q} --processes {threads}"

else:

    rule check_data:
        output:
            touch(f"{OUT}/.data.done"),
        params:
            mark=data_mark(STUDY),
        shell:
            "{RUN} check --study {STUDY.name:q}"


rule frames:
    input:
        rules.simulate.output if STUDY.simulation is not None else rules.check_data.output,
    output:
        touch(f"{OUT}/.frames.done"),
    params:
        sizes=STUDY.sizes,
    threads: workflow.cores
    shell:
        "{RUN} frames --study {STUDY.name:q} --processes {threads}"


rule annotation_agreement:
    input:
        rules.frames.input,
    output:
        touch(done("01_annotation_agreement")),
    params:
        mark=mark("01_annotation_agreement"),
    shell:
        "{RUN} run 01_annotation_agreement --study {STUDY.name:q} --threads {threads}"


rule video_folds:
    input:
        done("01_annotation_agreement"),
    output:
        touch(done("02_video_folds")),
    params:
        mark=mark("02_video_folds"),
    shell:
        "{RUN} run 02_video_folds --study {STUDY.name:q} --threads {threads}"


rule augmentation:
    input:
        rules.frames.output,
        done("02_video_folds"),
    output:
        touch(done("03_augmentation")),
    params:
        mark=mark("03_augmentation"),
    threads: STUDY.threads
    shell:
        "{RUN} run 03_augmentation --study {STUDY.name:q} --threads {threads}"


rule learning_rate:
    input:
        rules.frames.output,
        done("02_video_folds"),
    output:
        touch(done("04_learning_rate", "loss={loss},recipe={recipe}")),
    params:
        mark=mark("04_learning_rate"),
    threads: STUDY.threads
    resources:
        gpu=1,
    shell:
        "{RUN} run 04_learning_rate --study {STUDY.name:q} --threads {threads}"
        " -p loss={wildcards.loss} -p recipe={wildcards.recipe}"


rule train_fold:
    input:
        rules.frames.output,
        done("02_video_folds"),
        training_needs,
    output:
        touch(
            done("05_train_fold", "loss={loss},recipe={recipe},held_out={held_out},fold={fold}")
        ),
    params:
        mark=mark("05_train_fold"),
    threads: STUDY.threads
    resources:
        gpu=1,
    shell:
        "{RUN} run 05_train_fold --study {STUDY.name:q} --threads {threads}"
        " -p loss={wildcards.loss} -p recipe={wildcards.recipe}"
        " -p held_out={wildcards.held_out} -p fold={wildcards.fold}"


rule loss_comparison:
    input:
        trained(STUDY.trainings),
    output:
        touch(done("06_loss_comparison")),
    params:
        mark=mark("06_loss_comparison"),
    shell:
        "{RUN} run 06_loss_comparison --study {STUDY.name:q} --threads {threads}"


rule saliency:
    input:
        trained(MAIN),
    output:
        touch(done("07_saliency")),
    params:
        mark=mark("07_saliency"),
    threads: STUDY.threads
    resources:
        gpu=1,
    shell:
        "{RUN} run 07_saliency --study {STUDY.name:q} --threads {threads}"


rule ensemble_test:
    input:
        trained(MAIN),
        trained(ARMING),
    output:
        touch(done("08_ensemble_test")),
    params:
        mark=mark("08_ensemble_test"),
    shell:
        "{RUN} run 08_ensemble_test --study {STUDY.name:q} --threads {threads}"


rule jetson_deploy:
    input:
        done("08_ensemble_test"),
        done("07_saliency"),
        done("06_loss_comparison"),
        trained(STUDENT),
    output:
        touch(done("09_jetson_deploy")),
    params:
        mark=mark("09_jetson_deploy"),
    threads: workflow.cores  # it measures time, so it runs alone and last
    resources:
        gpu=1,
    shell:
        "{RUN} run 09_jetson_deploy --study {STUDY.name:q} --threads {threads}"
