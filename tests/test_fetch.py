"""Downloads against a hub on this machine that drops, lies and stalls: resumed, checked, never trusted unread."""

import contextlib
import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash import FailingFiles, Quick, RecordingFiles, SmallDisk, crash_states, lay_out, tree
from fake_hub import COMMIT, FakeHub, serving

from pipelines import listing
from pipelines.downloads import lockfile, pulled
from pipelines.downloads.fetch import TRIES, Event, Fetched, Fetcher, SetAside, Waiting
from pipelines.downloads.hub import Hub
from pipelines.downloads.lockfile import LockedFile
from pipelines.downloads.needed import needed
from pipelines.downloads.pulled import Need, state, verify
from pipelines.errors import BusyError, CheckpointError, DiskError, DiskFullError, HubError
from pipelines.files import Files
from pipelines.listing import Row

WEIGHTS = "lora/film.safetensors"


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


BIG = noise(200_000)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SIDELIGHT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A repository with one large and one small file."""
    with serving({WEIGHTS: BIG, "lora/small.safetensors": b"tiny"}) as hub:
        yield hub


def row(text: str, tmp: Path = Path("/nowhere")) -> Row:
    found = listing.parse_row(text, listed_in=tmp / "models.txt", number=1)
    assert found
    return found


FILM = f"film sdxl hf:owner/repo@main/{WEIGHTS} kind=lora"


class Puller:
    """Pulls as the command does, and keeps what happened."""

    def __init__(self, hub: FakeHub, models: Path, *, files: Files | None = None, cache: Path | None = None) -> None:
        self.hub, self.models, self.cache = hub, models, cache
        self.files = files or Quick()
        self.waited: list[float] = []
        self.events: list[Event] = []

    def pull(self, text: str = FILM, *, token: str | None = None, without: tuple[str, ...] = ()) -> lockfile.Entry:
        with Hub(self.hub.url, token=token, stall_seconds=0.3) as asked:
            fetcher = Fetcher(asked, self.models, files=self.files, cache=self.cache, wait=self.waited.append)
            for event in fetcher.fetch(fetcher.look_up(Need(row(text), without))):
                self.events.append(event)
        assert isinstance(self.events[-1], Fetched)
        return self.events[-1].entry

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def puller(hub: FakeHub, models: Path) -> Puller:
    return Puller(hub, models)


def placed(models: Path, path: str = WEIGHTS) -> Path:
    return models / "owner--repo" / COMMIT / path


def parts(models: Path) -> list[Path]:
    return list(models.rglob("*.part"))


# a good day


def test_a_pulled_file_lies_in_its_place_and_the_lock_says_so(puller: Puller, models: Path) -> None:
    entry = puller.pull()
    assert placed(models).read_bytes() == BIG
    (file,) = lockfile.read(models).entries[0].files
    assert (file.size, file.sha256) == (len(BIG), hashlib.sha256(BIG).hexdigest())
    assert (entry.revision, entry.complete) == (COMMIT, True)
    assert row(FILM).place() == placed(models)
    assert not parts(models)
    assert puller.hub.requests("small") == []


def test_small_files_are_checked_by_git_and_locked_by_sha256(puller: Puller, models: Path) -> None:
    entry = puller.pull("tiny sdxl hf:owner/repo@main/lora/small.safetensors kind=lora")
    assert entry.files[0].sha256 == hashlib.sha256(b"tiny").hexdigest()


def test_what_is_here_is_not_asked_for_again(puller: Puller) -> None:
    puller.pull()
    asked = len(puller.hub.asked)
    puller.pull()
    assert len(puller.hub.asked) == asked


def test_a_moved_branch_changes_nothing_that_was_pinned(puller: Puller) -> None:
    first = puller.pull()
    puller.hub.commit = "1" * 40
    assert puller.pull() == first


# a bad network


@pytest.mark.parametrize(
    ("faults", "sent"),
    [
        (["drop:50000"], len(BIG)),
        (["drop:50000", "drop:1", "drop:70000"], len(BIG)),
        (["cut:50000"], len(BIG)),
        (["status:503", "status:429", "status:500"], len(BIG)),
        (["drop:50000", "ignore"], len(BIG) + 50000),
        (["drop:50000", "ignore:60000", "drop:10"], len(BIG) + 50000),
        (["drop:50000", "416"], len(BIG) + 50000),
        (["drop:50000", "shifted:5"], None),
        (["stall:50000"], len(BIG)),
    ],
    ids=str,
)
def test_faults_that_pass_are_outlived_and_no_byte_comes_twice(
    faults: list[str], sent: int | None, puller: Puller, models: Path
) -> None:
    puller.hub.faults[WEIGHTS] = list(faults)
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert puller.hub.faults[WEIGHTS] == []
    assert sent in (None, puller.hub.sent[WEIGHTS])
    assert len(puller.waited) == len(puller.of(Waiting)) > 0


def test_a_server_that_says_when_is_waited_for(puller: Puller) -> None:
    puller.hub.faults[WEIGHTS] = ["status:429"]
    puller.pull()
    assert puller.waited == [7]


@pytest.mark.parametrize("fault", ["status:503", "drop:0", "416", "ignore:100", "stall:0"])
def test_a_server_that_never_gets_better_is_given_up(fault: str, puller: Puller, models: Path) -> None:
    puller.hub.faults[WEIGHTS] = [fault] * 100
    with pytest.raises(
        HubError, match=r"owner/repo: lora/film.safetensors does not come .* run the same command again"
    ):
        puller.pull()
    assert len(puller.waited) <= TRIES + 1
    assert sum(puller.waited) >= 2**TRIES - 1
    assert not placed(models).exists()
    assert row(FILM).place() is None


def test_progress_starts_the_count_of_faults_anew(puller: Puller, models: Path) -> None:
    puller.hub.faults[WEIGHTS] = ["drop:9000"] * 20
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert set(puller.waited) == {1}


def test_a_list_that_fails_for_a_moment_is_asked_for_again(puller: Puller) -> None:
    puller.hub.faults["list"] = ["503", "502"]
    puller.pull()
    assert puller.waited == [1, 2]
    puller.hub.faults["list"] = ["503"] * 9
    with pytest.raises(HubError, match="the hub does not answer"):
        puller.pull("tiny sdxl hf:owner/repo@main/lora/small.safetensors kind=lora")


def test_a_killed_download_goes_on_where_it_was(hub: FakeHub, models: Path) -> None:
    hub.faults[WEIGHTS] = ["stall:120000"]
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = ['tests', '.']\n"
        "from test_fetch import FILM, row\n"
        "from pipelines.downloads.fetch import Fetcher; from pipelines.downloads.hub import Hub\n"
        "from pipelines.downloads.pulled import Need\n"
        "fetcher = Fetcher(Hub(sys.argv[1]), Path(sys.argv[2]))\n"
        "for event in fetcher.fetch(fetcher.look_up(Need(row(FILM)))): print(event.done, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, hub.url, str(models)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert child.stdout
    while child.stdout.readline().strip() != "120000":
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert row(FILM).place() is None
    assert [path.stat().st_size for path in parts(models)] == [120000]
    again = Puller(hub, models)
    again.pull()
    assert hub.sent[WEIGHTS] == len(BIG)
    assert placed(models).read_bytes() == BIG
    assert hub.requests("/api/") == ["/api/models/owner/repo/revision/main"]


# wrong bytes


def test_wrong_bytes_of_the_right_length_are_set_aside_and_told(puller: Puller, models: Path) -> None:
    puller.hub.faults[WEIGHTS] = ["wrong"]
    with pytest.raises(HubError, match=r"film.safetensors came wrong \(its hash is not .*set aside as .*\.damaged"):
        puller.pull()
    (aside,) = puller.of(SetAside)
    assert isinstance(aside, SetAside)
    assert len(aside.path.read_bytes()) == len(BIG)
    assert not placed(models).exists()
    assert row(FILM).place() is None
    puller.pull()
    assert placed(models).read_bytes() == BIG


def test_a_resumed_file_that_is_wrong_is_fetched_once_more_from_its_first_byte(puller: Puller, models: Path) -> None:
    puller.hub.faults[WEIGHTS] = ["drop:50000"] + ["status:503"] * (TRIES + 1)
    with pytest.raises(HubError):
        puller.pull()
    (part,) = parts(models)
    part.write_bytes(bytes(50000))  # as after a power cut: the length is there, the bytes are not
    puller.pull()
    assert len(puller.of(SetAside)) == 1
    assert placed(models).read_bytes() == BIG


def test_a_small_file_with_a_changed_byte_is_noticed(puller: Puller) -> None:
    puller.hub.faults["lora/small.safetensors"] = ["wrong"]
    with pytest.raises(HubError, match="came wrong"):
        puller.pull("tiny sdxl hf:owner/repo@main/lora/small.safetensors kind=lora")


@pytest.mark.parametrize("served", [BIG + b"more", BIG[:-1]])
def test_a_file_of_another_length_than_listed_is_not_fetched(served: bytes, models: Path) -> None:
    with serving({WEIGHTS: served}, listed={WEIGHTS: BIG}) as hub:
        with pytest.raises(HubError, match=rf"is {len(served)} bytes at the server and {len(BIG)} in the hub's list"):
            Puller(hub, models).pull()
        assert not placed(models).exists()


def test_bytes_without_end_are_stopped_at_the_first_one_too_many(puller: Puller, models: Path) -> None:
    puller.hub.faults[WEIGHTS] = ["longer"]
    with pytest.raises(HubError, match="more than the 200000 bytes"):
        puller.pull()
    assert next(models.rglob("*.damaged")).stat().st_size == len(BIG) + 1


# locked doors


@pytest.mark.parametrize("answer", [(401, "GatedRepo"), (403, "GatedRepo"), (403, "")])
def test_a_gated_model_says_where_to_accept_and_how_to_log_in(answer: tuple[int, str], puller: Puller) -> None:
    puller.hub.gated, puller.hub.token = answer, "hf_right"
    with pytest.raises(CheckpointError) as told:
        puller.pull(token="hf_wrong")
    assert "accept its licence at https://huggingface.co/owner/repo, log in with `hf auth login`" in str(told.value)
    assert "\n" not in str(told.value)
    assert "hf_wrong" not in str(told.value)
    puller.pull(token="hf_right")


def test_the_token_is_not_sent_to_another_host(puller: Puller) -> None:
    puller.hub.gated, puller.hub.token = (401, "GatedRepo"), "hf_secret"
    puller.hub.faults[WEIGHTS] = ["drop:50000"]
    puller.pull(token="hf_secret")
    tokens = {(server, headers.get("authorization")) for server, _, headers in puller.hub.asked}
    assert tokens == {("hub", "Bearer hf_secret"), ("cdn", None)}
    assert "hf_secret" not in "".join(map(str, puller.events)) + json.dumps([str(p) for p in tree(puller.models)])


def test_a_refusal_of_the_host_behind_the_hub_is_no_gate(puller: Puller) -> None:
    puller.hub.faults[WEIGHTS] = ["status:403"]
    with pytest.raises(HubError, match=r"the server answered 403 for lora/film.safetensors; try"):
        puller.pull()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x sdxl hf:owner/other@main/a.safetensors", r"owner/other is not there, private or gated, or your token"),
        ("x sdxl hf:owner/repo@v9/a.safetensors", r"owner/repo has no revision v9"),
        ("x sdxl hf:owner/repo@main/a.safetensors", r"has no file a.safetensors; it has lora/film.safetensors"),
        ("x flux hf:owner/repo@main/a.gguf", r"has no file a.gguf; it has no .gguf file"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(text: str, reason: str, puller: Puller) -> None:
    with pytest.raises(CheckpointError, match=reason) as told:
        puller.pull(text)
    assert "\n" not in str(told.value)


def test_a_file_that_is_listed_and_not_served_is_told(models: Path) -> None:
    with serving({}, listed={WEIGHTS: BIG}) as hub, pytest.raises(CheckpointError, match=r"has no lora/film.* \(404\)"):
        Puller(hub, models).pull()


def test_a_server_that_is_no_hub_is_told(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        puller.hub, "info", lambda: {"siblings": [{"rfilename": "../../etc/x", "size": 1, "blobId": "0" * 40}]}
    )
    with pytest.raises(HubError, match="does not answer like a Hugging Face hub"):
        puller.pull()


@pytest.mark.parametrize("path", ["../x.safetensors", "/etc/x.safetensors", "a/../../x", "a\\b", "a//b", "a\0b"])
def test_a_path_that_leaves_its_folder_is_never_written(path: str, models: Path) -> None:
    with serving({path: BIG}) as hub, pytest.raises(HubError, match="does not answer like"):
        Puller(hub, models).pull()
    assert not models.exists()


def test_nobody_there_is_told(models: Path, hub: FakeHub) -> None:
    hub.close()
    with pytest.raises(HubError, match="the hub does not answer"):
        Puller(hub, models).pull()


# the disk


def test_the_disk_that_is_too_small_is_told_before_a_byte_comes(puller: Puller, tmp_path: Path) -> None:
    puller.files = SmallDisk(tmp_path, room=1_000_000_000)
    with Hub(puller.hub.url) as hub:
        fetcher = Fetcher(hub, puller.models, files=puller.files)
        pull = fetcher.look_up(Need(row(FILM)))
        with pytest.raises(
            DiskFullError, match=r"1.0 GB needed with a margin, 1.0 GB free in .*models: free space, or set"
        ):
            fetcher.refuse_without_room([pull])
        puller.files.room = 1_000_300_000
        fetcher.refuse_without_room([pull])
    assert puller.hub.sent[WEIGHTS] == 0


def test_a_disk_that_fills_up_keeps_what_came(puller: Puller, tmp_path: Path, models: Path) -> None:
    puller.files = SmallDisk(tmp_path, room=100_000)
    with pytest.raises(DiskFullError, match=r"disk full: .* run the same command again"):
        puller.pull()
    (part,) = parts(models)
    assert 90_000 < part.stat().st_size < 100_000
    puller.files = Quick()
    came = part.stat().st_size
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert [headers["range"] for _, path, headers in puller.hub.asked if "range" in headers and "cdn" in path] == [
        f"bytes={came}-"
    ]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whichever_call_the_disk_refuses_the_next_pull_makes_it_whole(
    number: int, hub: FakeHub, tmp_path: Path
) -> None:
    n, done = 0, False
    while not done:
        n += 1
        models = tmp_path / f"models{n}"
        files = FailingFiles(n, number)
        with contextlib.suppress(DiskError):
            Puller(hub, models, files=files).pull()
        done = files.calls < n
        Puller(hub, models).pull()
        assert placed(models).read_bytes() == BIG
        assert all(entry.complete for entry in lockfile.read(models).entries)
        assert not parts(models)
    assert n > 20


def test_whatever_a_power_cut_leaves_no_wrong_byte_has_a_name_and_the_next_pull_makes_it_whole(tmp_path: Path) -> None:
    tiny = {WEIGHTS: noise(1500)}
    with serving(tiny) as hub:
        hub.faults[WEIGHTS] = ["drop:700"]
        (tmp_path / "recorded").mkdir()
        files = RecordingFiles(tmp_path / "recorded")
        Puller(hub, files.root, files=files).pull()
        files.promise()
        states = list(crash_states(files))
        for number, (promises, left) in enumerate(states):
            models = lay_out(left, tmp_path / f"after{number}")
            is_complete = any(entry.complete for entry in lockfile.read(models).entries)
            assert not placed(models).exists() or placed(models).read_bytes() == tiny[WEIGHTS]
            assert placed(models).exists() or not is_complete
            assert is_complete or not promises
            Puller(hub, models).pull()
            assert placed(models).read_bytes() == tiny[WEIGHTS]
    assert len(states) >= 15


# several at once, other programs' files


def test_one_process_at_a_time_fetches_a_repository(puller: Puller, models: Path) -> None:
    with lockfile.held(models / "owner--repo/.held"), pytest.raises(BusyError, match="owner/repo is being pulled"):
        puller.pull()


def cached(tmp_path: Path, data: bytes) -> Path:
    """A file as huggingface_hub keeps it: a link into blobs."""
    home = tmp_path / "hub" / "models--owner--repo"
    blob, link = home / "blobs" / "abc", home / "snapshots" / COMMIT / WEIGHTS
    blob.parent.mkdir(parents=True)
    blob.write_bytes(data)
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return tmp_path / "hub"


def test_what_other_programs_fetched_is_taken_without_fetching(puller: Puller, tmp_path: Path, models: Path) -> None:
    puller.cache = cached(tmp_path, BIG)
    with Hub(puller.hub.url) as hub:
        assert Fetcher(hub, models, cache=puller.cache).look_up(Need(row(FILM))).to_come == 0
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert placed(models).stat().st_nlink == 2
    assert not placed(models).is_symlink()
    assert puller.hub.sent[WEIGHTS] == 0


def test_a_damaged_file_of_other_programs_is_left_to_them_and_fetched(
    puller: Puller, tmp_path: Path, models: Path
) -> None:
    wrong = bytes(len(BIG))
    puller.cache = cached(tmp_path, wrong)
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert (puller.cache / "models--owner--repo/blobs/abc").read_bytes() == wrong


def test_it_is_copied_where_it_cannot_be_linked(
    puller: Puller, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", no_links)
    puller.cache = cached(tmp_path, BIG)
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert placed(models).stat().st_nlink == 1
    assert puller.hub.sent[WEIGHTS] == 0


# which files


INDEX = {
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": True,
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "image_encoder": [None, None],
}
FOLDER = {
    "model_index.json": json.dumps(INDEX).encode(),
    "README.md": b"about",
    "sd_xl_base.safetensors": noise(5000),
    "run_me.py": b"import os",
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": noise(4000, 1),
    "unet/diffusion_pytorch_model.fp16.safetensors": noise(2000, 2),
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "unet/model.onnx": b"onnx",
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": noise(3000, 3),
    "text_encoder/config.json": b"{}",
    "text_encoder/model-00001-of-00002.safetensors": noise(2100, 4),
    "text_encoder/model-00002-of-00002.safetensors": noise(2200, 5),
    "text_encoder/model.safetensors.index.json": b'{"a": 1}',
    "text_encoder/model.fp16-00001-of-00002.safetensors": noise(1100, 6),
    "text_encoder/model.fp16-00002-of-00002.safetensors": noise(1200, 7),
    "text_encoder/model.safetensors.index.fp16.json": b'{"b": 1}',
    "text_encoder/flax_model.msgpack": b"flax",
    "tokenizer/vocab.json": b"{}",
    "tokenizer/merges.txt": b"a b",
    "tokenizer/spiece.model": b"sp",
    "tokenizer/chat_template.jinja": b"{{ x }}",
    "scheduler/scheduler_config.json": b"{}",
    "vae_1_0/config.json": b"{}",
    "vae_1_0/diffusion_pytorch_model.safetensors": noise(3000, 8),
}
COMMON = {
    "model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json", "tokenizer/vocab.json",
    "tokenizer/merges.txt", "tokenizer/spiece.model", "tokenizer/chat_template.jinja",
    "scheduler/scheduler_config.json", "vae/diffusion_pytorch_model.safetensors",
}  # fmt: skip
PLAIN = {
    "unet/diffusion_pytorch_model.safetensors",
    "text_encoder/model-00001-of-00002.safetensors",
    "text_encoder/model-00002-of-00002.safetensors",
    "text_encoder/model.safetensors.index.json",
}
FP16 = {
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "text_encoder/model.fp16-00001-of-00002.safetensors",
    "text_encoder/model.fp16-00002-of-00002.safetensors",
    "text_encoder/model.safetensors.index.fp16.json",
}


@pytest.mark.parametrize(("options", "wanted"), [("", PLAIN), ("variant=fp16", FP16)])
def test_of_a_diffusers_folder_only_what_is_opened_comes(options: str, wanted: set[str], models: Path) -> None:
    with serving(FOLDER) as hub:
        text = f"base sdxl hf:owner/repo@main {options}"
        Puller(hub, models).pull(text)
        place = row(text).place()
        assert place
        assert set(tree(place)) == COMMON | wanted
        assert all((place / path).read_bytes() == FOLDER[path] for path in COMMON | wanted)
        assert not [path for path in hub.requests() if path.endswith((".bin", ".py", ".onnx", ".msgpack"))]


def test_two_variants_share_what_is_the_same(models: Path) -> None:
    with serving(FOLDER) as hub:
        Puller(hub, models).pull("a sdxl hf:owner/repo@main")
        asked = hub.sent["vae/diffusion_pytorch_model.safetensors"]
        Puller(hub, models).pull("b sdxl hf:owner/repo@main variant=fp16")
        assert hub.sent["vae/diffusion_pytorch_model.safetensors"] == asked


def test_a_base_comes_without_the_weights_that_the_single_file_gives(models: Path) -> None:
    with serving(FOLDER) as hub:
        base = row("base sdxl hf:owner/repo@main")
        Puller(hub, models).pull("base sdxl hf:owner/repo@main", without=("unet",))
        assert base.place() is None
        beside = base.place_beside()
        assert beside
        assert set(tree(beside)) == COMMON | PLAIN - {"unet/diffusion_pytorch_model.safetensors"}
        Puller(hub, models).pull("base sdxl hf:owner/repo@main")
        assert base.place() == beside


def folder_of(names: dict[str, bytes]) -> list[LockedFile]:
    return [LockedFile(path=path, size=len(data), git_sha1="0" * 40) for path, data in names.items()]


def chosen(text: str, files: dict[str, bytes]) -> set[str]:
    wanted = row(text)
    index = files.get("model_index.json")
    found = needed(wanted.source, folder_of(files), kind=wanted.kind, index=index, variant=wanted.variant, without=())
    return {file.path for file in found}


def test_an_autoencoder_alone_lies_at_the_root() -> None:
    names = ["config.json", "diffusion_pytorch_model.safetensors", "sdxl_vae.safetensors", "README.md", "x.bin"]
    files = dict.fromkeys(names, b"1")
    assert chosen("v sdxl hf:o/r@main kind=vae", files) == {"config.json", "diffusion_pytorch_model.safetensors"}


def test_a_folder_of_a_repository_is_taken_alone() -> None:
    files = dict.fromkeys(
        [
            "models/enc/config.json",
            "models/enc/model.safetensors",
            "models/enc/pytorch_model.bin",
            "a/model.safetensors",
        ],
        b"1",
    )
    assert chosen("e sdxl hf:o/r@main/models/enc kind=adapter", files) == {
        "models/enc/config.json",
        "models/enc/model.safetensors",
    }


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (
            lambda f: f.pop("unet/diffusion_pytorch_model.safetensors"),
            "",
            "has unet only as variant fp16; add variant=fp16",
        ),
        (lambda f: f.pop("vae/diffusion_pytorch_model.safetensors"), "", "has no weights in vae by diffusers' names"),
        (
            lambda f: f.pop("text_encoder/model-00001-of-00002.safetensors"),
            "",
            "lacks part of the weights in text_encoder",
        ),
        (lambda f: f.pop("scheduler/scheduler_config.json"), "", "has no files in scheduler"),
        (lambda f: f.update({"model_index.json": b"[1"}), "", "model_index.json that cannot be read"),
        (lambda f: None, "variant=bf16", "has no variant bf16; allowed: fp16, or leave variant out"),
        (
            lambda f: [f.pop(p) for p in list(f) if p.startswith("unet/") and p.endswith(".safetensors")],
            "",
            "unet/diffusion_pytorch_model.bin is a pickle.*convert it to safetensors",
        ),
    ],
)
def test_a_repository_that_cannot_be_opened_is_refused_with_the_reason(
    change: Callable[[dict[str, bytes]], object], options: str, reason: str
) -> None:
    files = dict(FOLDER)
    change(files)
    with pytest.raises(CheckpointError, match=reason) as told:
        chosen(f"base sdxl hf:owner/repo@main {options}", files)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("names", "text", "reason"),
    [
        (
            ["a.safetensors", "b.txt"],
            "x sdxl hf:o/r@main",
            r"no model_index.json.* name it: hf:o/r@main/a.safetensors$",
        ),
        (["a.ckpt"], "x sdxl hf:o/r@main", r"no model_index.json.* a.ckpt is a pickle.* convert it"),
        (["unet/config.json"], "x sdxl hf:o/r@main", r"no model_index.json.* it has no .safetensors and no .gguf file"),
        (
            ["a.safetensors", "notes.json"],
            "x sdxl hf:o/r@main kind=vae",
            r"no weights by diffusers' names; .*/a.safetensors",
        ),
        (["config.json", "a.bin"], "x sdxl hf:o/r@main kind=vae", r"a.bin is a pickle"),
    ],
)
def test_a_repository_without_a_diffusers_folder_is_refused_naming_its_files(
    names: list[str], text: str, reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        chosen(text, dict.fromkeys(names, b"1"))


def test_a_list_of_components_that_comes_wrong_is_asked_for_again(models: Path) -> None:
    with serving(FOLDER) as hub:
        hub.faults["model_index.json"] = ["wrong", "drop:20", "status:500"]
        puller = Puller(hub, models)
        puller.pull("base sdxl hf:owner/repo@main")
        assert puller.waited == [1, 2, 7]


# what is on the disk


def test_states_follow_the_lock_and_the_files(puller: Puller, models: Path) -> None:
    film = row(FILM)
    assert state(film, lockfile.read(models)) == ("to be downloaded", None)
    puller.hub.faults[WEIGHTS] = ["status:503"] * 99
    with pytest.raises(HubError):
        puller.pull()
    assert state(film, lockfile.read(models)) == ("incomplete", len(BIG))
    puller.hub.faults.clear()
    puller.pull()
    assert state(film, lockfile.read(models)) == ("here", len(BIG))
    os.truncate(placed(models), 5)
    assert state(film, lockfile.read(models)) == ("damaged", len(BIG))


def faults(models: Path) -> list[str]:
    (entry,) = lockfile.read(models).entries
    return [fault.reason for _, fault in verify(entry, models) if fault]


def test_a_changed_byte_is_found_set_aside_and_only_that_file_is_fetched_again(models: Path) -> None:
    with serving(FOLDER) as hub:
        Puller(hub, models).pull("base sdxl hf:owner/repo@main")
        assert faults(models) == []
        damaged = placed(models, "vae/diffusion_pytorch_model.safetensors")
        data = bytearray(damaged.read_bytes())
        data[1500] ^= 1
        damaged.write_bytes(data)
        gone = placed(models, "tokenizer/vocab.json")
        gone.unlink()
        assert state(row("base sdxl hf:owner/repo@main"), lockfile.read(models))[0] == "damaged"
        assert sorted(faults(models)) == ["damaged: its bytes are not those that were fetched", "missing"]
        assert damaged.with_name(damaged.name + ".damaged").read_bytes() == data
        assert row("base sdxl hf:owner/repo@main").place() is None
        hub.asked.clear()
        Puller(hub, models).pull("base sdxl hf:owner/repo@main")
        assert len(hub.requests("resolve")) == 2
        assert faults(models) == []


def test_a_file_that_the_disk_does_not_give_is_damaged(
    puller: Puller, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    puller.pull()

    def unreadable(path: Path) -> Iterator[bytes]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(pulled, "blocks", unreadable)
    assert faults(models) == ["damaged: it cannot be read (Input/output error)"]


@pytest.mark.parametrize("content", ["", "{", '{"version": 2, "entries": []}', '{"version": 1, "entries": [{"x": 1}]}'])
def test_a_lock_file_that_is_none_is_told_and_files_are_not_fetched_again(
    content: str, puller: Puller, models: Path
) -> None:
    puller.pull()
    (models / lockfile.NAME).write_text(content)
    with pytest.raises(CheckpointError, match=r"models.lock.json is no lock file of this version; move it away"):
        puller.pull()
    (models / lockfile.NAME).unlink()
    puller.pull()
    assert puller.hub.sent[WEIGHTS] == len(BIG)


def test_files_without_a_lock_are_read_before_they_are_trusted(puller: Puller, models: Path) -> None:
    puller.pull()
    (models / lockfile.NAME).unlink()
    placed(models).write_bytes(bytes(len(BIG)))
    puller.pull()
    assert placed(models).read_bytes() == BIG
    assert placed(models).with_name("film.safetensors.damaged").read_bytes() == bytes(len(BIG))
