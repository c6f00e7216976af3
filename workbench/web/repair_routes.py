"""The page's addresses for repairs: what one would be, queueing it, the chain of a picture. Knows nothing about forms.

POST /api/repairs/told            a form as it stands: words, checkpoints, time, what is wrong with it
POST /api/repairs                 queue it: {"run", "job"}; the places of face and cheek are kept with the run
GET  /api/repairs/RUN/KEY/history  the pictures it came from, oldest first
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.recipe import Recipe
from pipelines.repair_words import task_of
from pipelines.store import Store
from workbench import history
from workbench.history import Link
from workbench.jobs import INTERACTIVE, Job
from workbench.web import asking, face_answers, repair_places, uploads
from workbench.web import offer as offering
from workbench.web.answers import one_line
from workbench.web.inside import known
from workbench.web.last import Last
from workbench.web.pace import WHERE, demo_seconds
from workbench.web.pictures import KEY
from workbench.web.site import Site
from workbench.web.tabs import create_fill, face_brief
from workbench.web.tabs.face_brief import Brief, Files
from workbench.web.uploads import WORDS_BYTES

OWN_WORDS = "Built from the picture's own recipe."
USUAL_WORDS = "The picture carries no prompt: the usual words."
LOW, HIGH = 0.4, 0.6
"""The weights of a reference that are usual."""


class Told(Frozen):
    """What there is to say of a form. `fault` refuses it, and begins with the field it is about, if one.

    `checkpoint` is the one that is taken where none is asked for; `likes` is what empty fields mean, by field.
    """

    prompt: str = ""
    prompt_by: str = ""
    negative: str = ""
    checkpoint: str = ""
    checkpoints: tuple[tuple[str, str], ...] = ()
    state: str = ""
    schedulers: tuple[str, ...] = ()
    likes: tuple[tuple[str, str], ...] = ()
    pictures: int = 0
    estimate: str = ""
    reference: str = ""
    fault: str = ""


class Begun(Frozen):
    """The run that was queued, and its job."""

    run: str
    job: int


class ChainLink(Frozen):
    """One picture of a chain. `run` and `key` are empty for one that was not made here; `url` is a small version of it,
    or, where only a copy of its pixels is left, that copy. `mask` is the expression it was made under; empty where that
    names a file."""

    content: str
    run: str
    key: str
    url: str
    thumb: str
    label: str
    told: str
    mask: str


class ChainAnswer(Frozen):
    """The pictures from the first to the one that was asked for."""

    links: tuple[ChainLink, ...]


def routes(site: Site) -> list[BaseRoute]:
    """The routes over this site's runs and queue."""
    desk = _Desk(site, Last(site))
    return [
        Route("/api/repairs/told", desk.told, methods=["POST"]),
        Route("/api/repairs", desk.begin, methods=["POST"]),
        Route("/api/repairs/{run}/{key}/history", desk.history),
    ]


@dataclass(frozen=True)
class _Desk:
    """Answers the routes, from several threads at once."""

    site: Site
    last: Last

    async def told(self, request: Request) -> Response:
        brief = Brief.read(uploads.words(await uploads.body(request.stream(), WORDS_BYTES)))
        return _model(await run_in_threadpool(self._told, brief))

    async def begin(self, request: Request) -> Response:
        brief = Brief.read(uploads.words(await uploads.body(request.stream(), WORDS_BYTES)))
        job, files = await run_in_threadpool(self._begun, brief)
        after = BackgroundTask(_keep_places, job.folder, files)  # nobody waits for where the cheek lies
        return _model(Begun(run=job.folder.name, job=job.id), after)

    def history(self, request: Request) -> Response:
        name, key = request.path_params["run"], request.path_params["key"]
        picture = self._picture(name, key)
        if picture is None:
            raise HTTPException(404, f"run {name[:60]} holds no whole picture {key[:20]}")
        links = history.chain(picture, self.site.runs)
        return _model(ChainAnswer(links=tuple(self._link(link, at) for at, link in enumerate(links))))

    # ---- a form

    def _told(self, brief: Brief) -> Told:
        choices = face_brief.choices()
        if not brief.picture:
            offer = offering.of(brief.checkpoint or next((name for _, name in choices), ""), self.site.lookup)
            return Told(checkpoint=offer.name, checkpoints=tuple(choices), state=offer.state)
        fault = ""
        try:
            files = self._files(brief)
        except InputError as error:
            fault, files = one_line(str(error)), self._files(brief.but(mask="", painted=""))
        source = face_brief.source_of(files.picture, brief.checkpoint, choices)
        offer = offering.of(source.base.checkpoint, self.site.lookup)
        told = Told(
            checkpoint=offer.name,
            checkpoints=tuple(choices),
            state=offer.state,
            schedulers=offer.schedulers("inpaint"),
            likes=tuple(face_brief.usual(source, offer).items()),
            reference=_weight(brief.reference_weight),
        )
        try:
            words = source.words(files.mask)
            of_picture = OWN_WORDS if source.base.prompt else USUAL_WORDS
            told = told.but(prompt=words.prompt, negative=words.negative or "", prompt_by=of_picture)
            if fault:
                return told.but(fault=f"mask: {fault}")
            made = face_brief.sweep(brief, source, files)
            recipes = [each.recipe for each in face_brief.settled(made, offer)]
        except InputError as error:
            return told.but(fault=offer.fault or one_line(str(error)))
        return told.but(pictures=len(recipes), estimate=self._estimate(recipes), fault=offer.fault)

    def _begun(self, brief: Brief) -> tuple[Job, Files]:
        if not brief.picture:
            raise InputError("no portrait is open; drop one on the left")
        files = self._files(brief)
        source = face_brief.source_of(files.picture, brief.checkpoint, face_brief.choices())
        made = face_brief.sweep(brief, source, files)
        return asking.begin(self.site, made, priority=INTERACTIVE), files

    def _files(self, brief: Brief) -> Files:
        """The files on this disk; raises InputError for names that nobody gave."""
        picture = self._picture(brief.run, brief.key) or Path(face_answers.start_path(brief.picture))
        said = brief.painted or brief.mask
        mask = face_answers.mask_text(brief.picture, said) if said else face_brief.PAINTED if brief.is_painted else ""
        reference = Path(face_answers.start_path(brief.reference)) if brief.reference else None
        return Files(picture, mask, reference)

    def _picture(self, run: str, key: str) -> Path | None:
        """The file of a picture of a run here; None if there is none."""
        folder = known(self.site.runs, run) if run and KEY.fullmatch(key) else None
        path = Store(folder).path(key) if folder else None
        return path if path and path.is_file() else None

    def _estimate(self, recipes: list[Recipe]) -> str:
        many = f"{len(recipes)} pictures" if len(recipes) > 1 else "1 picture"
        known_seconds = [self.last.seconds(recipe) for recipe in recipes]
        if None not in known_seconds:
            return f"{many}, about {_span(sum(each or 0.0 for each in known_seconds))}, by the last one like it"
        guess = demo_seconds(recipes)
        return f"{many}, about {_span(guess)} {WHERE}" if guess is not None else many

    # ---- a chain

    def _link(self, link: Link, at: int) -> ChainLink:
        run, key = self._place(link)
        url = create_fill.address(str(link.path), self.site) if link.path else ""
        proof = [history.counted(link.proof)] if link.proof else []
        mask = "" if "@" in link.mask else link.mask
        told = " · ".join(filter(None, [*link.changed, *proof, link.note]))
        return ChainLink(
            content=link.content, run=run, key=key, url=url, thumb=url, label=_label(link, at), told=told, mask=mask
        )

    def _place(self, link: Link) -> tuple[str, str]:
        """Run and key of a picture that lies among the runs of this page; empty for others."""
        path = link.path.resolve() if link.path else None
        if path is None or path.parent.name != "pictures" or path.parent.parent.parent != self.site.runs.resolve():
            return "", ""
        return path.parent.parent.name, path.stem


def _label(link: Link, at: int) -> str:
    start = link.recipe.start if link.recipe else None
    if at == 0 or start is None or link.recipe is None:
        return "original"
    return f"{task_of(link.mask) if link.mask else 'painted'} {start.strength:g}"


def _weight(text: str) -> str:
    """What a weight means, in words, where it is outside the usual range."""
    try:
        weight = float(text or 0.5)
    except ValueError:  # several weights: the field's own grammar says what is wrong with them
        return ""
    if weight < LOW:
        return f"Below {LOW} little of its texture arrives. Usual is {LOW} to {HIGH}."
    if weight > HIGH:
        return f"Above {HIGH} more than texture comes, the face drifts toward it. Usual is {LOW} to {HIGH}."
    return f"{LOW} to {HIGH} is usual: its pores and fine lines come, the face stays."


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _keep_places(run: Path, files: Files) -> None:
    with suppress(InputError):  # a picture without a face has no places, and needs none
        repair_places.keep(run, files.picture, files.mask)


def _model(model: Frozen, after: BackgroundTask | None = None) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(model.model_dump_json(), media_type="application/json", headers=headers, background=after)
