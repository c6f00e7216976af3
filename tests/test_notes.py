"""Notes: kept whole with every earlier version, read with one line a fault, made from findings, trusted so far."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.checkpoint import find
from pipelines.draft import Draft
from pipelines.errors import BusyError, DiskError, InputError
from pipelines.files import Disk, OpenFile
from sweeps.sweep import from_flags
from tests.noting import found_in, picture, plateau, window, window_run
from workbench import notes, notes_text
from workbench.notes import Note, Pair, Window
from workbench.notes_start import start_sweep
from workbench.notes_text import from_toml, to_markdown, to_toml

DIGEST = "0" * 64
PLAIN = Note(
    checkpoint="demo-sdxl",
    family="sdxl",
    digest=DIGEST,
    pairs=(Pair(steps=24, guidance=4.5, scheduler="DPM++ 2M Karras"), Pair(guidance=3)),
    window=Window(low=3, high=6),
    plateau=24,
    lights=("window",),
    forbid=("plastic skin", "halo"),
    remarks="hands are poor",
)


@pytest.fixture(autouse=True)
def _own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def kept(run: Path) -> Note:
    (note,) = notes.from_findings(window_run(run), run)
    return note


# The file


def test_a_note_is_read_as_it_was_kept_and_markdown_lies_beside_it(tmp_path: Path) -> None:
    note = notes.put(kept(tmp_path / "run").but(remarks='a "quoted" \\ line\n"""three"""\n\ttab', plateau=24))
    assert notes.read("demo-sdxl") == note
    drawn = notes.path_of("demo-sdxl").with_suffix(".md").read_text()
    assert "3 to 6" in drawn
    assert "stop at 24" in drawn
    assert f"thumbs/{note.pairs[0].key}.webp" in drawn


@given(
    remarks=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=40),
    low=st.floats(0, 50),
    more=st.floats(0, 50),
    forbid=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), max_size=3),
)
def test_any_note_survives_its_text(remarks: str, low: float, more: float, forbid: list[str]) -> None:
    note = PLAIN.but(remarks=remarks, window=Window(low=low, high=low + more), forbid=tuple(forbid))
    assert from_toml(to_toml(note), name="x") == note
    assert to_markdown(note).startswith("# demo-sdxl")


@pytest.mark.parametrize(
    "name",
    [
        "sdxl+vae=/home/a b/c.safetensors",
        "../../etc/passwd",
        ".hidden",
        "a:b?*|<>",
        "é" * 120,
        "a" * 400,
        "NUL",
        "x.toml",
    ],
)
def test_any_checkpoint_name_can_have_a_note(name: str) -> None:
    notes.put(PLAIN.but(checkpoint=name))
    assert notes.read(name) is not None
    path = notes.path_of(name)
    assert path.is_file()
    assert path.parent == notes.folder()
    assert len(os.fsencode(path.name)) < 200
    assert notes.names() == (name,)


def test_every_earlier_version_stays_also_one_changed_or_broken_by_hand() -> None:
    notes.put(PLAIN)
    path = notes.path_of("demo-sdxl")
    path.write_text(path.read_text().replace("plateau = 24", "plateau = 30  # my own"))
    notes.put(PLAIN.but(plateau=36))
    path.write_text("steps = = 3")
    notes.put(PLAIN.but(plateau=40))
    texts = [each.path.read_text() for each in notes.history("demo-sdxl")]
    assert "plateau = 30  # my own" in texts[0]
    assert texts[1] == "steps = = 3"
    assert notes.version("demo-sdxl", 1).plateau == 30
    with pytest.raises(InputError, match=r"version 9 .* 1 to 2"):
        notes.version("demo-sdxl", 9)


def test_keeping_what_is_there_already_changes_nothing() -> None:
    first = notes.put(PLAIN)
    assert notes.put(PLAIN) == first
    assert notes.history("demo-sdxl") == ()


def test_a_change_over_a_file_that_others_changed_is_refused() -> None:
    notes.put(PLAIN)
    stamp = notes.stamp("demo-sdxl")
    notes.put(PLAIN.but(plateau=30), over=stamp)
    with pytest.raises(BusyError, match="changed meanwhile"):
        notes.put(PLAIN.but(plateau=36), over=stamp)
    assert notes.stamp("other") == ""
    with pytest.raises(BusyError):
        notes.put(PLAIN, over="")


def _writes(first: int) -> None:
    for count in range(5):
        notes.put(PLAIN.but(plateau=first + count))


def test_two_processes_that_write_lose_no_version() -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_writes, args=(first,)) for first in (100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    versions = notes.history("demo-sdxl")
    assert [each.number for each in versions] == list(range(1, 10))
    now = notes.read("demo-sdxl")
    seen = {notes.version("demo-sdxl", each.number).plateau for each in versions} | {now and now.plateau}
    assert seen == {*range(100, 105), *range(200, 205)}


class _Full(Disk):
    def create(self, path: Path) -> OpenFile:
        if path.name.startswith("demo-sdxl.toml"):
            raise OSError(28, "No space left on device")
        return super().create(path)


def test_a_full_disk_leaves_the_note_as_it_was() -> None:
    before = notes.put(PLAIN)
    with pytest.raises(DiskError):
        notes.put(PLAIN.but(plateau=30), _Full())
    assert notes.read("demo-sdxl") == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("plateau = 24", 'plateau = "many"', " line 7: plateau 'many'"),
        ("steps = 24", "steps = 5000", " line 14: steps 5000: input should be less than or equal to 1000"),
        ("guidance = 3.0", "guidnce = 3.0", " line 19: guidnce is not known here; allowed: guidance, key"),
        ("plateau = 24", "plateu = 24", " line 7: plateu is not known here; allowed: checkpoint"),
        ("low = 3.0, high = 6.0", "low = 6.0, high = 3.0", " line 6: a window must begin before it ends; low 6"),
        ('"dpmpp-2m-karras"', '"eulr"', " line 16: scheduler 'eulr' is not known; nearest: euler"),
        ("plateau = 24", "plateau 24", "line 7, column 9"),
        ("[[pair]]\nguidance = 3.0", "[other]", " line 18: other is not known here; allowed: checkpoint"),
    ],
)
def test_a_fault_of_a_hand_is_told_with_file_line_and_what_is_allowed(old: str, new: str, told: str) -> None:
    notes.put(PLAIN)
    path = notes.path_of("demo-sdxl")
    text = path.read_text().replace(old, new, 1)
    assert text != path.read_text()
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        notes.read("demo-sdxl")
    assert str(refused.value).startswith(str(path))
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert path.read_text() == text


def test_tables_that_are_no_list_are_told() -> None:
    text = to_toml(PLAIN).partition("[[pair]]")[0]
    with pytest.raises(InputError, match=r"x line 12: pair is no list of tables; write \[\[pair\]\]"):
        from_toml(f"{text}[pair]\nsteps = 3\n", name="x")


def test_a_file_that_was_copied_under_another_name_is_told() -> None:
    notes.put(PLAIN)
    notes.path_of("other").write_bytes(notes.path_of("demo-sdxl").read_bytes())
    with pytest.raises(InputError, match="is about 'demo-sdxl', not 'other'"):
        notes.read("other")


def test_a_checkpoint_with_other_parts_falls_back_to_the_plain_one() -> None:
    notes.put(PLAIN)
    assert notes.read("demo-sdxl+vae=other") is None
    assert notes.nearest("demo-sdxl+vae=other") == notes.read("demo-sdxl")
    notes.put(PLAIN.but(checkpoint="demo-sdxl+vae=other", plateau=9))
    assert (found := notes.nearest("demo-sdxl+vae=other")) is not None
    assert found.plateau == 9


# From findings


def test_findings_become_a_note_with_their_evidence(tmp_path: Path) -> None:
    note = kept(tmp_path / "run")
    assert (note.window, note.family, note.digest) == (Window(low=3, high=6), "sdxl", find("demo-sdxl").weights.digest)
    assert note.pairs[0].settings == (20, 4.0, "euler")
    (evidence,) = note.evidence
    assert (evidence.run, evidence.n, evidence.devices, evidence.date[:10]) == ("run", 6, ("cpu",), "2026-11-20")
    assert evidence.keys[0] == note.pairs[0].key
    assert dict(evidence.versions)["diffusers"] == "0.42.1"


def test_the_pair_joins_window_plateau_and_scheduler_and_says_whether_a_picture_shows_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    best, stop = picture(run, guidance=4), picture(run, guidance=4, steps=24)
    both = [window({"best": best}), plateau({"plateau": stop})]
    (note,) = notes.from_findings(found_in(run, both), run)
    assert (note.pairs[0].settings, note.pairs[0].key, note.plateau) == ((24, 4.0, "euler"), stop, 24)
    won = window({"a": best, "b": stop}).but(
        kind="scheduler", low=None, high=None, between=("euler", "heun"), winner="heun"
    )
    (note,) = notes.from_findings(found_in(run, [*both, won]), run)
    assert (note.pairs[0].settings, note.pairs[0].key) == ((24, 4.0, "heun"), "")
    assert len(note.evidence) == 3


def test_the_scheduler_that_won_most_and_lost_none_is_taken(tmp_path: Path) -> None:
    run = tmp_path / "run"
    key = picture(run, guidance=4)
    duels = (("heun", "euler", "heun"), ("heun", "ddim", "ddim"), ("ddim", "euler", "ddim"), ("heun", "euler", ""))
    said = [
        window({"a": key}).but(
            kind="scheduler", low=None, high=None, between=(one, other), winner=winner, state="found"
        )
        for one, other, winner in duels
    ]
    (note,) = notes.from_findings(found_in(run, said), run)
    assert [pair.settings for pair in note.pairs] == [(None, None, "ddim")]
    (note,) = notes.from_findings(found_in(run, [*said, said[0].but(between=("ddim", "pndm"), winner="pndm")]), run)
    assert note.pairs[0].scheduler == "pndm"


def test_of_several_windows_the_found_one_with_most_seeds_gives_the_value(tmp_path: Path) -> None:
    run = tmp_path / "run"
    key = picture(run, guidance=4)
    said = [
        window({"best": key}, low=1, high=None, n=9, held=(("steps", "8"),)),
        window({"best": key}, low=2, high=5, n=3, held=(("steps", "12"),)),
        window({"best": key}, low=3, high=6, n=6),
        window({"best": key}, low=None, high=None, state="none", held=(("steps", "30"),)),
    ]
    (note,) = notes.from_findings(found_in(run, said), run)
    assert note.window == Window(low=3, high=6)
    assert len(note.evidence) == 3


def test_a_comparison_of_engines_stands_in_the_notes_of_both(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shown = {"a": picture(run, guidance=4, checkpoint="demo-flux"), "b": picture(run, guidance=4)}
    both = window(shown, low=None, high=None, checkpoint="demo-flux", state="found").but(
        kind="engine", between=("demo-flux", "demo-sdxl"), winner="demo-sdxl"
    )
    flux, sdxl = notes.from_findings(found_in(run, [both]), run)
    assert [(each.checkpoint, each.family, each.pairs) for each in (flux, sdxl)] == [
        ("demo-flux", "flux", ()),
        ("demo-sdxl", "sdxl", ()),
    ]
    assert flux.evidence[0].digest == flux.digest != sdxl.digest == sdxl.evidence[0].digest


def test_open_ends_stay_open_and_no_finding_makes_no_note(tmp_path: Path) -> None:
    run = tmp_path / "run"
    key = picture(run, guidance=4)
    (note,) = notes.from_findings(found_in(run, [window({"best": key}, high=None)]), run)
    assert note.window == Window(low=3)
    assert notes.from_findings(found_in(run, [window({"best": key}, state="none")]), run) == ()


# Two notes


def test_what_only_one_says_is_kept_and_conflicts_are_listed() -> None:
    theirs = PLAIN.but(plateau=30, window=None, lights=("rembrandt",), remarks="", forbid=())
    found = {each.field: each.is_conflict for each in notes.differences(PLAIN, theirs)}
    assert found == {"window": False, "plateau": True, "lights": False, "forbid": False, "remarks": False}
    with pytest.raises(InputError, match=r"plateau: 24 \(ours\), 30 \(theirs\): say which holds with --take"):
        notes.merged(PLAIN, theirs)
    both = notes.merged(PLAIN, theirs, ["plateau"])
    assert (both.plateau, both.window, both.lights) == (30, Window(low=3, high=6), ("window", "rembrandt"))
    assert notes.merged(PLAIN, theirs, ["ours"]).plateau == 24
    with pytest.raises(InputError, match="'steps' is not known; allowed: ours, theirs, or of weights, pairs"):
        notes.merged(PLAIN, theirs, ["steps"])


def test_pairs_that_say_different_settings_are_joined() -> None:
    ours = PLAIN.but(pairs=(Pair(steps=20, guidance=4, key="a" * 16),))
    joined = notes.merged(ours, PLAIN.but(pairs=(Pair(guidance=4, scheduler="heun"),)))
    assert (joined.pairs[0].settings, joined.pairs[0].key) == ((20, 4.0, "heun"), "")
    theirs = PLAIN.but(pairs=(Pair(steps=16, scheduler="heun"),))
    with pytest.raises(InputError, match="pairs: 20 steps, guidance 4"):
        notes.merged(ours, theirs)
    assert notes.merged(ours, theirs, ["theirs"]).pairs[0].settings == (16, 4.0, "heun")
    assert notes.merged(ours, theirs, ["ours"]).pairs[0].settings == (20, 4.0, "heun")


def test_settings_that_no_picture_shows_together_are_told(tmp_path: Path) -> None:
    note = kept(tmp_path / "run")
    joined = notes.merged(note, note.but(pairs=(Pair(scheduler="heun"),)), ["theirs"])
    told = notes.trust(joined, find("demo-sdxl"))
    assert any("no picture was made with 20 steps, guidance 4, heun together" in line for line in told)
    assert not any("no picture" in line for line in notes.trust(note, find("demo-sdxl")))


def test_evidence_of_one_finding_is_kept_once_the_later_and_the_own(tmp_path: Path) -> None:
    note = kept(tmp_path / "run")
    later = note.evidence[0].but(n=9, date="2026-12-01")
    sent = note.evidence[0].but(imported="imported 2026-12-02")
    assert notes.merged(note, note.but(evidence=(later,))).evidence == (later,)
    assert notes.merged(note, note.but(evidence=(sent,))).evidence == note.evidence


# Trust


def test_trust_names_what_is_not_here_as_it_was_there(tmp_path: Path) -> None:
    note, checkpoint = kept(tmp_path / "run"), find("demo-sdxl")
    plain = notes.trust(note, checkpoint)
    assert "only the demo" in plain[0]
    assert "no blind votes" in plain[-1]
    changed = notes.trust(note.but(digest=DIGEST), checkpoint)
    assert any(line.startswith("other weights: demo-sdxl was 000000000000 then") for line in changed)
    assert any("1 of 1 findings are about other weights" in line for line in changed)
    away = notes.trust(note, None)
    assert "is not on this disk" in away[0]
    other = note.evidence[0].but(
        devices=("NVIDIA H200",), n=2, versions=(("diffusers", "0.30.0"),), imported="imported x"
    )
    told = "\n".join(notes.trust(note.but(evidence=(other,)), checkpoint, devices=["NVIDIA L4"]))
    for part in (
        "seen on NVIDIA H200",
        "few seeds: the guidance window of run run rests on 2",
        "diffusers 0.30.0 (here",
        "imported x",
    ):
        assert part in told
    assert not any(
        "NVIDIA" in line for line in notes.trust(note.but(evidence=(other,)), checkpoint, devices=["NVIDIA H200"])
    )


def test_trust_tells_other_parts_and_quantisation_apart(tmp_path: Path) -> None:
    note, checkpoint = kept(tmp_path / "run"), find("demo-sdxl")
    parts = replace(checkpoint, name="demo-sdxl+vae=x")
    assert any("other parts" in line for line in notes.trust(note.but(digest=DIGEST), parts))
    assert any("other quantisation" in line for line in notes.trust(note.but(quantisation="nf4"), checkpoint))
    assert any("other family" in line for line in notes.trust(note.but(family="flux"), checkpoint))
    assert any("set by hand" in line for line in notes.trust(note.but(evidence=()), checkpoint))


# Starting from a note


def test_only_what_is_not_said_comes_from_the_note() -> None:
    draft, told = notes.start_from(PLAIN.but(kept="2026-11-20T00:00:00+00:00"), Draft(checkpoint="demo-sdxl", steps=9))
    assert (draft.steps, draft.guidance, draft.scheduler, draft.light) == (9, 4.5, "dpmpp-2m-karras", "window")
    assert told == (
        "from the note of demo-sdxl (2026-11-20): guidance 4.5, scheduler dpmpp-2m-karras, light window, "
        "forbidden plastic skin; halo",
    )
    forbidden = dict(draft.light_fields)["forbidden"].split("; ")
    assert set(forbidden) > {"plastic skin", "halo"}
    assert len(forbidden) > 2


def test_with_words_of_ones_own_what_is_forbidden_is_the_negative_where_there_is_one() -> None:
    draft, told = notes.start_from(PLAIN, Draft(checkpoint="demo-sdxl", prompt="a face"))
    assert (draft.light, draft.negative) == (None, "plastic skin, halo")
    kept_own, _ = notes.start_from(PLAIN, Draft(checkpoint="demo-sdxl", prompt="a face", negative=""))
    assert kept_own.negative == ""
    flux, told = notes.start_from(PLAIN.but(family="flux"), Draft(checkpoint="demo-flux", prompt="a face"))
    assert flux.negative is None
    assert "not sent: forbidden plastic skin" in told[0]


def test_a_note_that_adds_nothing_says_so() -> None:
    note = Note(checkpoint="x", family="sdxl", digest=DIGEST, remarks="only words")
    draft = Draft(checkpoint="x", prompt="a face")
    assert notes.start_from(note, draft) == (
        draft,
        ("from the note of x (without date): nothing: all that it says is said already",),
    )


def test_axes_count_as_said_and_checkpoints_walk_with_their_own_values() -> None:
    varied = from_flags("s", {"checkpoint": ["demo-sdxl"], "prompt": ["a face"], "guidance": ["2,3"]})
    sweep, _ = start_sweep(varied, {"demo-sdxl": PLAIN})
    assert (sweep.axes, sweep.base.guidance, sweep.base.steps) == (varied.axes, 2, 24)
    two = from_flags("s", {"checkpoint": ["demo-sdxl,demo-flux"], "prompt": ["a face"], "seed": ["1,2"]})
    other = PLAIN.but(checkpoint="demo-flux", pairs=(Pair(steps=8, guidance=3),))
    sweep, told = start_sweep(two, {"demo-sdxl": PLAIN, "demo-flux": other})
    assert sweep.axes[0].name == "checkpoint, steps, guidance"
    assert len(told) == 2
    assert sweep.axes[0].values == (("demo-sdxl", 24, 4.5), ("demo-flux", 8, 3.0))
    silent = other.but(pairs=(), plateau=None)
    sweep, told = start_sweep(two, {"demo-sdxl": PLAIN, "demo-flux": silent})
    assert sweep.axes == two.axes
    assert all("or not by the notes of all these checkpoints" in line for line in told)


def test_lights_that_vary_keep_what_each_of_them_forbids() -> None:
    varied = from_flags("s", {"checkpoint": ["demo-sdxl"], "light": ["window,rembrandt"]})
    sweep, told = start_sweep(varied, {"demo-sdxl": PLAIN})
    assert sweep.base.light_fields == ()
    assert "not added: forbidden plastic skin" in told[0]


def test_summary_leaves_out_what_is_not_said() -> None:
    assert notes_text.summary(PLAIN)[0] == ("start from", "24 steps, guidance 4.5, dpmpp-2m-karras")
    bare = Note(checkpoint="x", family="sdxl", digest=DIGEST)
    assert [name for name, _ in notes_text.summary(bare)] == ["weights"]
