"""Mask expressions: how they are read and written, and what they paint over a real photograph."""

import functools
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines import mask_words
from pipelines.errors import InputError
from pipelines.mask_words import REGIONS, Change, Expression, Joined, Painted, Region, parse, terms
from pipelines.masks import canonical, is_expression, paint, refuse_empty, regions_in
from pipelines.regions import FaceMap, face_map
from tests.photographs import collins, side_by_side


@functools.cache
def alone() -> FaceMap:
    return face_map(collins())


@functools.cache
def two() -> FaceMap:
    return face_map(side_by_side())


def region(name: str, number: int = 1) -> Any:
    return np.round(alone().region(number, name) * 255).astype(np.uint8)


# --- reading and writing

REGION = st.builds(Region, st.none() | st.integers(1, 40), st.sampled_from(REGIONS))
FILE = st.builds(Painted, st.text(st.sampled_from("ab-_./ ;()+*é"), min_size=1))
TERM = st.recursive(
    REGION | FILE,
    lambda term: st.builds(
        Joined, term, st.lists(st.tuples(st.sampled_from("+-*"), term), min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=8,
)
CHANGE = st.tuples(
    st.sampled_from(mask_words.CHANGES),
    st.decimals(0, 2, places=3, allow_nan=False),
    st.sampled_from(("", "px", " px")),
)


def spelled(term: Any, blank: str) -> str:
    """A term in one of many spellings: every part of it in parentheses."""
    if isinstance(term, Region):
        return f"{'faces' if term.face is None else f'face{term.face}'}.{term.name}"
    if isinstance(term, Painted):
        return f'@"{term.file}"'
    return blank.join(
        [f"({spelled(term.first, blank)})", *(f"{sign}{blank}({spelled(each, blank)})" for sign, each in term.rest)]
    )


@given(TERM, st.lists(CHANGE, max_size=3), st.sampled_from(("", " ", "  \t")))
@settings(max_examples=80)
def test_equal_expressions_are_equal_text(term: Any, changes: list[Any], blank: str) -> None:
    said = [f"{blank}{name} {amount}{unit}{blank}" for name, amount, unit in changes]
    text = ";".join([spelled(term, blank), *said])
    written = canonical(text)
    assert parse(written) == parse(text)
    assert canonical(written) == written
    assert is_expression(text)
    assert is_expression(written)
    assert set(terms(parse(written).joined)) == set(terms(term))


@given(TERM)
@settings(max_examples=40)
def test_parentheses_that_are_left_out_change_nothing(term: Any) -> None:
    values = {each: sum(map(ord, str(each))) % 251 for each in terms(term)}

    def value(one: Any) -> int:
        if not isinstance(one, Joined):
            return values[one]
        answer = value(one.first)
        if {sign for sign, _ in one.rest} & {"*"} and {sign for sign, _ in one.rest} - {"*"}:
            return value(parse(spelled(one, "")).joined)  # "*" binds closest
        for sign, other in one.rest:
            answer = {"+": lambda a, b: min(a + b, 255), "*": min, "-": lambda a, b: min(a, 255 - b)}[sign](
                answer, value(other)
            )
        return answer

    assert value(parse(spelled(term, " ")).joined) == value(term)


@given(st.text(st.sampled_from("face1s.kin-eyo+*() ;@\"'grow0.2px\n\\é"), max_size=40))
@settings(max_examples=150)
def test_whatever_is_given_is_read_or_refused_in_one_line(text: str) -> None:
    is_expression(text)
    written, refused = tried(text)
    assert len(refused.splitlines()) == (not written)
    assert not written or canonical(written) == written


def tried(text: str) -> tuple[str, str]:
    """The canonical text, or why there is none."""
    try:
        return canonical(text), ""
    except InputError as error:
        return "", str(error)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("face1.skin-face1.eyes", "face1.skin - face1.eyes"),
        (" face01.skin   -face1.left-cheek ;feather .060", "face1.skin - face1.left-cheek; feather 0.06"),
        ("((face1.skin)+(face1.neck)) ; grow 12.0 px ; shrink 2.", "face1.skin + face1.neck; grow 12px; shrink 2"),
        ("(face1.skin + face1.neck) * face1.oval", "(face1.skin + face1.neck) * face1.oval"),
        ("face1.skin + (face1.neck*face1.oval)", "face1.skin + face1.neck * face1.oval"),
        ("face1.skin - (face1.eyes - face1.oval)", "face1.skin - (face1.eyes - face1.oval)"),
        ('@"a b.png" - @"c-d.png"', '@"a b.png" - @c-d.png'),
        ("faces.oval;feather 0", "faces.oval; feather 0"),
    ],
)
def test_an_expression_is_written_in_one_way(text: str, written: str) -> None:
    assert canonical(text) == written


def test_painted_files_are_written_as_seen_from_their_folder() -> None:
    text = 'face1.oval - @hand.png * (@"/there/a b.png" + @../c.png)'
    assert canonical(text) == text
    assert canonical(text, beside=Path("here and")) == (
        'face1.oval - @"here and/hand.png" * (@"/there/a b.png" + @"here and/../c.png")'
    )
    with pytest.raises(InputError, match=r"cannot stand in a mask for its quotes"):
        canonical(text, beside=Path('in "quotes"'))


def test_an_expression_says_what_it_means() -> None:
    assert parse("face2.skin - @h.png; grow 0.02; feather 12px") == Expression(
        Joined(Region(2, "skin"), (("-", Painted("h.png")),)),
        (Change("grow", Decimal("0.02"), False), Change("feather", Decimal(12), True)),
    )
    assert regions_in("faces.skin - (face2.eyes + face2.left-cheek) - face2.eyes + @x.png") == (
        *((None, "skin"), (2, "eyes"), (2, "left-cheek")),
    )


@pytest.mark.parametrize(
    "text", ["face1.skin", " (faces.neck)", "face2.hair - x", "face12.left-cheek;grow 1", "@a.png"]
)
def test_expressions_are_told_from_paths(text: str) -> None:
    assert is_expression(text)


@pytest.mark.parametrize(
    "text", ["face1.png", "face1.skin.png", "masks/face1.skin", "./face1.skin", "face1", "", "skin"]
)
def test_paths_are_told_from_expressions(text: str) -> None:
    assert not is_expression(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("face3.skin", "face3.skin: there are 2 faces; allowed: face1, face2"),
        ("face1.hair", "hair is no region; allowed: oval, skin, cheeks, left-cheek, "),
        ("face0.skin", "face0.skin: faces are numbered from 1"),
        ("face1.skin face2.skin", 'cannot be read at "face2.skin": here +, -, * or ; is allowed'),
        ("face1.skin + ", "cannot be read at its end: a region of a face is allowed, as face1.skin"),
        ("skin", 'cannot be read at "skin": a region of a face is allowed, as face1.skin'),
        ("(face1.skin", "at its end: a ) is missing"),
        ("", "the mask says nothing; write a face and a region"),
        ("face1.skin; blur 3", '"blur 3" is no change of a mask; allowed: grow, shrink, feather'),
        ("face1.skin; grow -1", 'grow "-1" is no amount; allowed: a share of the eye distance, as grow 0.06'),
        ("face1.skin; feather 12", "feather 12 is too much; allowed: to 2 eye distances"),
        ("@", "after @ the name of a painted file is allowed"),
        ("(" * 60 + "face1.skin", "more than 40 parentheses"),
        ("face1.skin" + " " * 2000, "a mask of 2010 characters; allowed: 2000"),
        ("face1.skin * face2.skin", "the mask face1.skin * face2.skin is empty: no pixel may change"),
        ("@gone.png", "gone.png is not there"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(InputError) as refused:
        paint(text, two())
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_face_names_the_way_on() -> None:
    found = FaceMap(np.zeros((40, 60, 3), np.uint8), ())
    for text in ("face1.skin", "faces.skin"):
        with pytest.raises(InputError, match=r"\.skin: no face was found; paint a mask .* give it with --mask FILE$"):
            paint(text, found)


# --- painting


def test_regions_are_joined_as_sets() -> None:
    skin, eyes, neck = region("skin"), region("eyes"), region("neck")
    oval = region("oval")
    assert (paint("face1.skin", alone()) == skin).all()
    assert (paint("face1.skin + face1.neck", alone()) == np.minimum(skin.astype(int) + neck, 255)).all()
    assert (paint("face1.oval - face1.eyes", alone()) == np.minimum(oval, 255 - eyes)).all()
    assert (paint("face1.skin * face1.oval", alone()) == np.minimum(skin, oval)).all()
    both = paint("faces.eyes", two())
    assert (both == np.round(np.maximum(two().region(1, "eyes"), two().region(2, "eyes")) * 255)).all()


def test_regions_that_touch_are_joined_without_a_seam() -> None:
    skin, eyes = region("skin"), region("eyes")
    border = (eyes > 0) & (eyes < 255) & (skin > 0) & (skin.astype(int) + eyes >= 254)
    assert border.sum() > 20
    assert paint("face1.skin + face1.eyes", alone())[border].min() >= 254


def test_the_mask_has_the_pictures_size_and_repeats() -> None:
    text = "face2.skin - face2.eyes + face2.neck; grow 0.05; feather 0.2"
    mask = paint(text, two())
    assert (mask.shape, mask.dtype, mask.max()) == (side_by_side().shape[:2], np.uint8, 255)
    assert mask[:, : side_by_side().shape[1] // 2].max() == 0
    assert (paint(text, face_map(side_by_side())) == mask).all()


@pytest.mark.parametrize("amount", ["0.2", f"{0.2 * 43.2:.2f}px"])
def test_grow_is_round_and_as_far_as_said(amount: str) -> None:
    before, after = region("mouth"), paint(f"face1.mouth; grow {amount}", alone())
    unit = alone().faces[0].eye_distance
    rows, columns = np.nonzero(before >= 128)
    for y, x in np.argwhere((after > 0) & (after < 255) & (before == 0))[::3]:
        nearest = np.hypot(rows - y, columns - x).min()
        assert abs(nearest - 0.2 * unit) < 1.2
    assert (after >= before).all()


def test_shrink_takes_back_what_grow_gave() -> None:
    oval = region("oval")
    back = paint("face1.oval; grow 9px; shrink 9px", alone())
    assert np.abs(back.astype(int) - oval).max() <= 255
    assert ((back >= 128) ^ (oval >= 128)).mean() < 0.002
    less = paint("face1.oval; shrink 9px", alone())
    assert (less <= oval).all()
    rows, columns = np.nonzero(oval < 128)
    assert min(np.hypot(rows - y, columns - x).min() for y, x in np.argwhere(less == 255)[::20]) >= 9


@pytest.mark.parametrize("amount", ["0.02", "0.3", "1.5", "40px"])
def test_feather_eats_inward_only(amount: str) -> None:
    before = paint("face1.skin + face1.neck; grow 0.03", alone())
    after = paint(f"face1.skin + face1.neck; grow 0.03; feather {amount}", alone())
    assert (after <= before).all()
    assert after[before == 0].max() == 0
    assert after.max() > 0


def test_feather_rises_from_the_edge_to_full_within_its_width() -> None:
    row = paint("face1.oval; feather 20px", alone())[alone().faces[0].box[1] + 60].astype(int)
    rise = row[np.flatnonzero(row)[0] :][:26]
    assert (np.diff(rise) >= 0).all()
    assert rise[0] < 12
    assert 100 < rise[10] < 165
    assert rise[-1] == 255


def test_changes_are_made_in_the_order_written() -> None:
    one = paint("face1.eyes; grow 6px; feather 6px", alone())
    other = paint("face1.eyes; feather 6px; grow 6px", alone())
    assert (one != other).any()
    assert (paint("face1.eyes; feather 0; grow 0px", alone()) == region("eyes")).all()


def test_the_pictures_border_is_no_edge() -> None:
    cut = alone().faces[0].box[0] + 15
    found = face_map(np.ascontiguousarray(collins()[:, cut:]))
    mask = paint("face1.oval; feather 30px", found)
    assert mask[:, 0].max() == 255
    assert paint("face1.oval; shrink 10px", found)[:, 0].max() == 255


def test_a_share_is_of_the_faces_named() -> None:
    sizes = [face.eye_distance for face in two().faces]
    for named, unit in (("face1", sizes[0]), ("face2", sizes[1]), ("faces", sum(sizes) / 2)):
        by_share = paint(f"{named}.mouth; grow 0.25", two())
        by_pixels = paint(f"{named}.mouth; grow {0.25 * unit:.4f}px", two())
        assert np.abs(by_share.astype(int) - by_pixels).max() <= 1


def test_a_painted_mask_joins_in(tmp_path: Path) -> None:
    hand = np.zeros(collins().shape[:2], np.uint8)
    hand[100:140, 90:120] = 200
    Image.fromarray(hand).save(tmp_path / "my hand.png")
    Image.fromarray(hand).convert("RGB").save(tmp_path / "rgb.png")
    assert (paint('@"my hand.png"; feather 0', alone(), beside=tmp_path) == hand).all()
    assert (paint("@rgb.png", FaceMap(collins(), ()), beside=tmp_path) == hand).all()
    without = paint('face1.oval - @"my hand.png"', alone(), beside=tmp_path)
    assert (without == np.minimum(region("oval"), 255 - hand)).all()
    with pytest.raises(InputError, match=r"feather 0.06 is a share of the eye distance, and the mask names no face"):
        paint("@rgb.png; feather 0.06", alone(), beside=tmp_path)


def test_a_painted_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.new("L", (64, 48), 255).save(tmp_path / "small.png")
    with pytest.raises(InputError, match=r"small\.png has 64 x 48 pixels, the picture 256 x 256; paint it on the pict"):
        paint("face1.skin + @small.png", alone(), beside=tmp_path)


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^the mask hand\.png is empty: no pixel may change"):
        refuse_empty(np.zeros((4, 4), np.uint8), "hand.png")
    grey = face_map(np.repeat(collins()[..., 1:2], 3, 2))
    with pytest.raises(InputError, match=r"^the ears cannot be told in a grey picture.*paint"):
        paint("face1.ears", grey)
    with pytest.raises(InputError, match=r"is empty"):
        paint("face1.eyes; shrink 1", alone())
