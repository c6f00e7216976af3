"""The bench of a face pass compares two real runs: the whole picture, and its repair pasted back and proven."""

from pathlib import Path

import diffusers
from tiny import SIZE, tiny_sdxl

from pipelines.checkpoint import find
from pipelines.draft import Draft
from workbench.bench_repair import FacePass, Repaired, as_dict, as_text, compare
from workbench.bench_result import Warmed


def test_both_sides_are_timed_and_the_ratio_is_the_face_passs_share(tmp_path: Path) -> None:
    diffusers.StableDiffusionXLPipeline(**tiny_sdxl()).save_pretrained(tmp_path)
    checkpoint = find(str(tmp_path))
    draft = Draft(checkpoint="tiny", prompt="a face", steps=5, width=SIZE, height=SIZE)
    told = list(compare(checkpoint, draft, repeats=1, asked={"device": "cpu"}))
    assert [type(each) for each in told] == [Warmed, Repaired, FacePass]
    found = told[-1]
    assert isinstance(found, FacePass)
    assert (found.pixels, found.steps, found.strength) == ((SIZE, SIZE), 5, 0.4)
    assert found.mask == "painted, as no face was found"  # tiny weights draw none
    assert found.ratio == found.face[0].seconds / found.whole[0].seconds
    assert found.spread == (found.ratio, found.ratio)
    assert as_dict(found, "today")["ratio"] == found.ratio
    assert f"a face pass takes {found.ratio:.2f} of the whole picture's time" in as_text(found, "today")
