"""The command `dirfa-edu`: talk, extract, train, evaluate, reproduce, grade, doctor.

Whatever a user gives that cannot be used ends in one sentence and exit code 2.
"""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from .files import InputError, atomic_path, data_path

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="DIRFA: audio-driven talking faces with diverse facial animations.",
)


@app.command()
def talk(
    speech: Annotated[Path, typer.Argument(help="a recording: wav, flac, ogg or mp3")],
    portrait: Annotated[Path, typer.Option(help="a neutral, frontal portrait: png or jpg")],
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("demo"),
    samples: Annotated[int, typer.Option(help="how many different faces")] = 3,
    seed: Annotated[int, typer.Option(help="the same seed gives the same files")] = 0,
    driving: Annotated[
        str, typer.Option(help="head pose relative to the portrait's, or absolute")
    ] = "relative",
    generator: Annotated[
        Path | None, typer.Option(help="weights of train generator --finetune")
    ] = None,
) -> None:
    """Make one portrait speak a recording, in several plausible ways."""
    from tqdm.auto import tqdm

    from .generator import load_generator
    from .talk import talk as run

    result = run(
        speech,
        portrait,
        out,
        samples,
        seed,
        driving=driving,
        generator=load_generator(generator) if generator else None,
        progress=lambda title, items, total: tqdm(
            items, total=total, desc=f"{title:9s}", unit="frame"
        ),
    )
    faces = "talking face" if samples == 1 else "talking faces"
    typer.echo(f"{samples} {faces} of {result['animations'].shape[1] / 25:.1f} s:")
    for path in result["files"]:
        typer.echo(f"  {path}")
    typer.echo(
        "seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in result["seconds"].items())
    )


@app.command()
def extract(
    video: Annotated[Path, typer.Argument(help="a clip of one face: mp4 or webm")],
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("extracted"),
) -> None:
    """Measure the 23 attributes of a real clip (OpenFace-like) and cut out a source portrait."""
    from .animation import write_openface
    from .faces.vision import extract as run
    from .files import make_folder, save_png

    found = run(video)
    make_folder(out)
    write_openface(out / f"{video.stem}.csv", found["animation"], success=found["valid"])
    save_png(out / f"{video.stem}.png", found["portrait"])
    seen = int(found["valid"].sum())
    typer.echo(f"{len(found['valid'])} frames, a face in {seen} of them; weak: AU06 AU09 AU14 AU15")
    typer.echo(f"  {out / (video.stem + '.csv')}\n  {out / (video.stem + '.png')}")


@app.command()
def train(
    network: Annotated[str, typer.Argument(help="mapper or generator")],
    preset: Annotated[
        str, typer.Option(help="notebook, shipped or paper; mapper: also audio")
    ] = "shipped",
    data: Annotated[str, typer.Option(help="samples, or a folder of clips")] = "samples",
    out: Annotated[Path, typer.Option(help="folder for weights, checkpoint and log")] = Path(
        "runs"
    ),
    steps: Annotated[int | None, typer.Option(help="instead of the preset's budget")] = None,
    minutes: Annotated[float | None, typer.Option(help="instead of the preset's budget")] = None,
    seed: int = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    devices: Annotated[int, typer.Option(help="how many share each batch")] = 1,
    tensorboard: Annotated[
        Path | None, typer.Option(help="folder for TensorBoard (mapper)")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            help="TERM=NUMBER, 0 is off: adv, rec, attr, pixel, spread, equivariance (generator)"
        ),
    ] = None,
    vgg: Annotated[Path | None, typer.Option(help="VGG-19 weights to be phi (generator)")] = None,
    finetune: Annotated[
        Path | None,
        typer.Option(
            help="a film of one person, whom the shipped generator learns better in 10 minutes"
        ),
    ] = None,
) -> None:
    """Train a network; run the same line again to go on after an interruption."""
    from .runs import first_process

    if finetune and network != "generator":
        raise InputError("only the generator can be tuned to one person's film")
    if preset == "finetune" and not finetune:
        raise InputError("tuned to whom? Give a film of one person: --finetune me.mp4")
    preset = "finetune" if finetune else preset
    recipe = chosen_recipe(network, preset, steps, minutes, seed, weight)

    checkpoint = out / f"{network}.checkpoint"
    where: dict[str, Any] = {"device": device, "devices": devices, "checkpoint": checkpoint}
    if network == "mapper":
        trained, log = fit_mapper(data, recipe, where | {"tensorboard": tensorboard})
    else:
        trained, log = fit_generator(data, recipe, finetune, where | {"vgg": vgg})
    if first_process():
        write_trained(out, network, trained, log)


def fit_mapper(data: str, recipe, where: dict) -> tuple:
    """Train a mapper on the training clips of a corpus: the network and its log."""
    from .data.corpus import Corpus
    from .training import train_mapper

    clips = [clip for clip in Corpus(data).select(split="train") if clip.kind != "probe"]
    return train_mapper(clips, recipe, **where)


def fit_generator(data: str, recipe, film: Path | None, where: dict) -> tuple:
    """Train a generator on a corpus, or tune the shipped one to a film: the network and its log."""
    from .data.corpus import Corpus
    from .training import train_generator

    if film:
        return tune(film, recipe, where)
    corpus = Corpus(data)
    clips = corpus.select(split="train", rendered=True)
    validation = corpus.select(split="test", kind="probe")
    return train_generator(clips, recipe, validation=validation, **where)


def write_trained(out: Path, network: str, trained, log: list[dict]) -> None:
    """Weights and log of a trained network into a folder; says where, and the log's last row."""
    from .generator import save_generator
    from .mapper import save_mapper

    weights = out / f"{network}.safetensors"
    save = save_mapper if network == "mapper" else save_generator
    save(weights, trained)
    with atomic_path(out / f"{network}.log.json") as temporary:
        temporary.write_text(json.dumps(log, indent=1), encoding="utf-8")
    typer.echo(f"{weights}: {json.dumps(log[-1])}")


def chosen_recipe(
    network: str,
    preset: str,
    steps: int | None,
    minutes: float | None,
    seed: int,
    weight: list[str] | None,
):
    """The recipe that a command line asks for. Raises InputError where there is none."""
    from .training import GENERATOR_RECIPES, MAPPER_RECIPES

    presets: dict[str, dict] = {"mapper": MAPPER_RECIPES, "generator": GENERATOR_RECIPES}
    if network not in presets:
        raise InputError(f"no network {network!r}: choose mapper or generator")
    recipes = presets[network]
    if preset not in recipes:
        raise InputError(
            f"no preset {preset!r} for the {network}: choose notebook, shipped or paper, for the "
            "mapper also audio"
        )
    recipe = replace(recipes[preset], seed=seed)
    if steps or minutes:  # instead of the preset's budget, whichever that is
        recipe = replace(recipe, steps=steps, minutes=minutes)
    if weight and network == "mapper":
        raise InputError("--weight is for the generator: the mapper has one loss, Eq. 5")
    if weight:
        recipe = replace(recipe, lambdas=lambdas_of(weight))
    return recipe


def lambdas_of(given: list[str]):
    """["adv=0", ...] -> `losses.Lambdas`. Raises InputError for anything else."""
    from .losses import Lambdas

    try:
        weights = {name: float(value) for name, value in (each.split("=") for each in given)}
    except ValueError as error:
        raise InputError(
            f"{' '.join(given)}: give --weight TERM=NUMBER, for instance --weight adv=0"
        ) from error
    terms = [field.name for field in fields(Lambdas)]
    for name in weights:
        if name not in terms:
            raise InputError(f"no weight {name}: terms are {', '.join(terms)}")
    return Lambdas(**weights)


def tune(film: Path, recipe, where: dict) -> tuple:
    """The shipped generator, tuned to one person's film: the network and its log."""
    from . import training
    from .examples import one_person, read_footage
    from .runs import first_process

    start = training.load_pretrained("generator")
    learned, rest = one_person(film, start.config.size)
    trained, log = training.train_generator(
        [learned], recipe, start=start, validation=[rest], **where
    )
    if first_process():
        before = training.generator_gain(start, [read_footage(rest, start.config.size)])["psnr"]
        after = log[-1]["psnr"]
        typer.echo(f"PSNR on the last fifth of the film: {before} dB before, {after} after")
    return trained, log


@app.command()
def evaluate(
    what: Annotated[str, typer.Argument(help="mapper, generator, sync, or talk")],
    folder: Annotated[
        Path | None, typer.Argument(help="with talk: the folder that holds the videos")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="instead of the shipped ones; talk: those of the published SyncNet, beside ours"
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="write the figures here too")
    ] = None,
) -> None:
    """Measure a network on the sample corpus, or the films of a folder (report.html)."""
    from .results.generator_card import evaluate_generator
    from .results.mapper_card import evaluate_mapper
    from .results.report_card import evaluate_talk
    from .results.sync_card import evaluate_sync

    figures: dict
    if what == "talk":
        if folder is None:
            raise InputError("which videos? Give their folder: dirfa-edu evaluate talk FOLDER")
        figures = evaluate_talk(folder, weights)
        typer.echo(f"{folder / 'report.html'}: {len(figures)} videos")
    else:
        if what == "mapper":
            figures = evaluate_mapper(weights)
        elif what == "generator":
            figures = evaluate_generator(weights)
        elif what == "sync":
            figures = evaluate_sync(weights)
        else:
            raise InputError(
                f"nothing to evaluate called {what!r}: choose mapper, generator, sync or talk"
            )
        for name, value in figures.items():
            typer.echo(f"{name:45s} {value}")

    if json_file:
        with atomic_path(json_file) as temporary:
            temporary.write_text(json.dumps(figures, indent=1), encoding="utf-8")


@app.command()
def reproduce(
    what: Annotated[
        str, typer.Argument(help="table1, table2, table4, table5, fig2 to fig6, or claim")
    ],
    preset: Annotated[str, typer.Option(help="laptop, full, or smoke: a try")] = "laptop",
    seeds: Annotated[int, typer.Option(help="trainings of each variant (tables)")] = 1,
    out: Annotated[Path, typer.Option(help="folder for results and finished trials")] = Path(
        "results"
    ),
) -> None:
    """Make one of the paper's tables or figures on a laptop; tables judge the paper's claims."""
    from .results import figures
    from .results.reproduce import reproduce as run

    if what in figures.WHAT:
        typer.echo(figures.make_figure(what, preset, out))
    else:
        typer.echo(run(what, preset, seeds, out))
    typer.echo(f"written to {out}")


@app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="folder with the handed-in notebooks")],
    out: Annotated[Path, typer.Option(help="CSV file to write")] = Path("grades.csv"),
    seconds: Annotated[float, typer.Option(help="time limit for one notebook")] = 60,
) -> None:
    """Run the checks of the exercises over a class's notebooks: a row for each in a CSV."""
    from .course.grade import grade_folder

    for row in grade_folder(folder, out, seconds):
        typer.echo(f"{row['notebook']}: {row['right']} of {row['of']} {row['notes']}".rstrip())
    typer.echo(f"written to {out}")


@app.command()
def doctor(
    data: Annotated[
        bool, typer.Option("--data", help="compare every file with the manifest")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="check this folder of clips instead")] = None,
) -> None:
    """Say whether this installation can run; with --data or --folder, check every clip."""
    import warnings
    from importlib.metadata import version

    from .training import load_pretrained

    for package in ("torch", "numpy", "librosa", "numba", "av"):
        typer.echo(f"{package:12s} {version(package)}")
    typer.echo(f"{'jupyterlab':12s} {course_version()}")

    typer.echo(f"{'samples':12s} {data_path()}")
    for name in ("mapper", "generator", "sync"):
        load_pretrained(name)
        typer.echo(f"{name:12s} loads")
    if not (data or folder):
        return

    from .data.corpus import Corpus

    corpus = Corpus(folder or "samples")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was skipped is among the problems
        problems = corpus.check()
    for problem in problems[1:20]:
        typer.echo(problem)
    if problems:
        many = "problem" if len(problems) == 1 else "problems"
        raise InputError(f"{len(problems)} {many} in {corpus.root}: {problems[0]}")

    whole = (
        "every file as in the manifest"
        if corpus.clips[0].sha256
        else "every film and CSV can be read"
    )
    typer.echo(f"{'data':12s} {len(corpus)} clips, {whole}")


def course_version() -> str:
    """The version of JupyterLab, or who needs it: every command does without."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("jupyterlab")
    except PackageNotFoundError:
        return "not here: the notebooks need it, install dirfa-edu[course]"


def main() -> None:
    """Entry point: one sentence and exit code 2 for bad input, 130 for Ctrl-C."""
    try:
        app()
    except InputError as error:
        typer.echo(f"dirfa-edu: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("dirfa-edu: stopped", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
