"""Regions of faces in real photographs, and in several lights."""

import functools
import threading
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from pipelines.colour import light_of, luminance
from pipelines.errors import InputError
from pipelines.face_shapes import Shapes
from pipelines.regions import REGIONS, FaceMap, face_map
from tests.photographs import PHOTOGRAPHS, collins, hopper, lit, side_by_side, turned


@functools.cache
def mapped(photograph: Any) -> FaceMap:
    return face_map(photograph())


def share(mask: NDArray[np.float32], *, within: NDArray[Any]) -> float:
    """Mean of a mask where another is at least half."""
    return float(mask[within >= 0.5].mean())


def shapes(found: FaceMap) -> Shapes:
    face = found.faces[0]
    return Shapes(face.points, face.eye_distance, *found.pixels.shape[:2])


@PHOTOGRAPHS
@pytest.mark.parametrize("name", REGIONS)
def test_a_region_is_soft_and_of_the_pictures_size(photograph: Any, name: str) -> None:
    mask = mapped(photograph).region(1, name)
    assert (mask.shape, mask.dtype) == (photograph().shape[:2], np.float32)
    assert (mask.min(), mask.max()) == (0, 1)
    assert float(((mask > 0) & (mask < 1)).mean()) > 0.001
    high, wide = mask.shape
    assert 0.0005 * high * wide < mask.sum() < 0.25 * high * wide


@PHOTOGRAPHS
def test_eyes_brows_and_mouth_are_no_skin(photograph: Any) -> None:
    found = mapped(photograph)
    skin = found.region(1, "skin")
    for name in ("eyes", "brows", "mouth"):
        region = found.region(1, name)
        assert skin[region == 1].max() == 0
        assert (skin + region).max() <= 1


@PHOTOGRAPHS
def test_cheeks_are_skin_and_hair_and_background_are_not(photograph: Any) -> None:
    found = mapped(photograph)
    skin, drawn = found.region(1, "skin"), shapes(found)
    assert share(skin, within=np.maximum(drawn.left_cheek(), drawn.right_cheek()) / 255) > 0.85
    assert share(skin, within=drawn.chin() / 255) > 0.7
    assert share(skin, within=1 - drawn.triangle() / 255) < 0.001
    assert share(skin, within=drawn.hair() / 255) < 0.2


def test_a_fringe_of_hair_is_no_forehead() -> None:
    """Her forehead is half hidden by hair two stops darker than her cheeks, yellower, and not the background's."""
    found = mapped(collins)
    light = luminance(light_of(found.pixels))
    forehead, cheeks = (light[found.region(1, name) > 0.5] for name in ("forehead", "cheeks"))
    assert np.log2(np.quantile(forehead, 0.1) / np.median(cheeks)) > -1.5
    assert len(forehead) > 0.1 * found.faces[0].eye_distance ** 2


def test_left_and_right_are_the_pictures() -> None:
    found = mapped(hopper)
    left, right, both = (found.region(1, name) for name in ("left-cheek", "right-cheek", "cheeks"))
    assert np.flatnonzero(left.any(0))[-1] < np.flatnonzero(right.any(0))[0]
    assert (np.maximum(left, right) == both).all()


def test_neck_and_ears_are_beside_the_face() -> None:
    found = mapped(collins)
    oval, neck, ears = (found.region(1, name) for name in ("oval", "neck", "ears"))
    assert np.minimum(oval, neck).max() < 1
    assert np.minimum(oval, ears).max() < 1
    left, top, right, bottom = found.faces[0].box
    assert neck[: (top + bottom) // 2].max() == 0
    assert neck[bottom : bottom + 8, left + 20 : right - 20].mean() > 0.6
    assert ears[:, left + 15 : right - 15].max() == 0


LIGHTS = {
    "four stops under": (collins, (1 / 16,) * 3),
    "tungsten": (hopper, (1.3, 0.75, 0.3)),
    "magenta neon": (collins, (1.1, 0.15, 0.9)),
    "blue neon": (hopper, (0.12, 0.3, 1.2)),
}


@pytest.mark.parametrize(("photograph", "colour"), LIGHTS.values(), ids=LIGHTS)
def test_skin_is_found_in_any_light(photograph: Any, colour: tuple[float, ...]) -> None:
    before = mapped(photograph).region(1, "skin") > 0.5
    after = face_map(lit(photograph(), *colour)).region(1, "skin") > 0.5
    assert (before & after).sum() / (before | after).sum() > 0.85


def darker(found: FaceMap) -> NDArray[np.uint8]:
    """The picture with this face's skin, ears and neck as dark as skin is."""
    where = np.max([found.region(1, name) for name in ("oval", "skin", "neck", "ears")], 0)
    for name in ("eyes", "brows"):
        where = np.minimum(where, 1 - found.region(1, name))
    soft = cv2.GaussianBlur(where, (0, 0), 1.5)[..., None]
    return np.asarray(np.round(lit(found.pixels, 0.22, 0.13, 0.09) * soft + found.pixels * (1 - soft)), np.uint8)


@PHOTOGRAPHS
def test_dark_skin_is_found_as_light_skin_is(photograph: Any) -> None:
    before, after = mapped(photograph), face_map(darker(mapped(photograph)))
    assert share(after.region(1, "skin"), within=shapes(after).left_cheek() / 255) > 0.85
    one, other = before.region(1, "skin") > 0.5, after.region(1, "skin") > 0.5
    assert (one & other).sum() / (one | other).sum() > 0.75


def test_a_grey_picture_has_the_meshs_skin_and_no_neck_or_ears() -> None:
    found = face_map(np.repeat(cv2.cvtColor(hopper(), cv2.COLOR_RGB2GRAY)[..., None], 3, 2))
    assert found.is_grey(1)
    assert not mapped(hopper).is_grey(1)
    assert share(found.region(1, "skin"), within=shapes(found).left_cheek() / 255) > 0.98
    assert found.region(1, "skin")[found.region(1, "oval") == 0].max() == 0
    assert found.region(1, "neck").max() == found.region(1, "ears").max() == 0


def test_a_background_of_the_skins_colour_is_no_ear() -> None:
    found = mapped(collins)
    face = np.max([found.region(1, name) for name in ("oval", "neck")], 0)
    skin = np.median(found.pixels[found.region(1, "cheeks") > 0.9], 0)
    hidden = np.where(face[..., None] > 0.5, found.pixels, skin + np.arange(256)[:, None, None] % 2).astype(np.uint8)
    assert face_map(hidden).region(1, "ears").sum() < 0.1 * found.faces[0].eye_distance ** 2


def test_regions_turn_with_the_picture() -> None:
    pixels, affine = turned(collins(), 30)
    before, after = mapped(collins).region(1, "skin"), face_map(pixels).region(1, "skin")
    carried = cv2.warpAffine(before, affine, pixels.shape[1::-1]) > 0.5
    assert (carried & (after > 0.5)).sum() / (carried | (after > 0.5)).sum() > 0.85


def test_no_face_claims_anothers_skin() -> None:
    left, right = hopper()[:256, 20:200], collins()[:, 60:]
    found = face_map(np.hstack([left, right]))
    for name in REGIONS:
        one, other = found.region(1, name), found.region(2, name)
        assert np.minimum(one, other).max() <= 0.5
        assert min(one.max(), other.max()) == 1 or name == "ears"
    assert found.region(1, "skin")[found.region(2, "oval") > 0.6].max() < 0.5


def test_the_nearer_face_owns_what_two_reach() -> None:
    (face,) = mapped(collins).faces
    close = type(face)(2, face.points + np.float32(1.2 * face.eye_distance), face.score, face.size)
    found = FaceMap(collins(), (face, close))
    one, other = found.region(1, "oval"), found.region(2, "oval")
    assert np.minimum(mapped(collins).region(1, "oval"), other).max() == 1
    assert np.minimum(one, other).max() <= 0.55
    assert one[face.box[1] : face.box[3], face.box[0] : face.box[2]].mean() > 0.4


def test_a_face_at_the_border_has_regions() -> None:
    (whole,) = mapped(collins).faces
    cut = whole.box[0] + 15
    found = face_map(np.ascontiguousarray(collins()[:, cut:]))
    assert found.region(1, "skin")[:, 0].max() == 1
    before = mapped(collins).region(1, "skin")[:, cut:] > 0.5
    after = found.region(1, "skin") > 0.5
    assert (before & after).sum() / (before | after).sum() > 0.85


def test_a_larger_picture_gives_the_same_regions() -> None:
    large = face_map(cv2.resize(collins(), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    for name in ("skin", "eyes", "cheeks"):
        before = mapped(collins).region(1, name) > 0.5
        after = cv2.resize(large.region(1, name), (256, 256), interpolation=cv2.INTER_AREA) > 0.5
        assert (before & after).sum() / (before | after).sum() > 0.8


def test_the_same_bytes_give_the_same_masks_with_any_number_of_threads() -> None:
    threads, seen = cv2.getNumThreads(), []
    try:
        for count in (1, 2):
            cv2.setNumThreads(count)
            found = face_map(hopper())
            seen.append(b"".join(found.region(1, name).tobytes() for name in ("skin", "neck", "eyes")))
    finally:
        cv2.setNumThreads(threads)
    assert seen[0] == seen[1]


def test_many_may_ask_one_map() -> None:
    found, seen = face_map(collins()), list[bytes]()
    askers = [threading.Thread(target=lambda: seen.append(found.region(1, "skin").tobytes())) for _ in range(2)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert seen == [mapped(collins).region(1, "skin").tobytes()] * 2


def test_what_a_caller_does_to_a_mask_stays_with_the_caller() -> None:
    found = mapped(collins)
    found.region(1, "eyes")[:] = 1
    assert found.region(1, "eyes").mean() < 0.1


def test_a_face_or_region_that_is_not_there_is_refused_in_one_line() -> None:
    found = face_map(side_by_side())
    with pytest.raises(InputError, match=r"^face3\.skin: there are 2 faces; allowed: face1, face2$"):
        found.region(3, "skin")
    with pytest.raises(InputError, match=r"^face0: there are 2 faces; allowed: face1, face2$"):
        found.face(0)
    with pytest.raises(InputError, match=r"^face2\.eyes: there is 1 face; allowed: face1$"):
        mapped(collins).region(2, "eyes")
    with pytest.raises(InputError, match=r"^hair is no region; allowed: oval, skin, cheeks, .*ears$"):
        found.region(1, "hair")
    with pytest.raises(InputError, match=r"^face1\.skin: no face was found; paint a mask .* --mask FILE$"):
        FaceMap(skimage.data.coffee(), ()).region(1, "skin")
