"""Texts as other tools write them, by hand after their sources and public examples. Knows nothing about our reading."""

import json
from typing import Any

A1111_OLD = (
    "photo of a woman by a window, freckles, <lora:film_grain_v2:0.8> (soft light:1.2)\n"
    "Negative prompt: plastic skin, blur\n"
    "Steps: 30, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 2179987202, Size: 832x1216, "
    "Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Clip skip: 2, ENSD: 31337, Version: v1.6.0"
)
A1111_NEW = (
    "portrait, side light\n"
    "Steps: 25, Sampler: DPM++ 2M SDE, Schedule type: Exponential, CFG scale: 5, Seed: 18446744073709551615, "
    "Size: 896x1152, Model hash: e6bb9ea85b, Model: juggernautXL_v9, RNG: CPU, Version: v1.10.1"
)
A1111_HIRES = (
    "cabin, golden hour\n"
    "Negative prompt: cartoon\n"
    "Steps: 25, Sampler: Euler a, Schedule type: Automatic, CFG scale: 6, Seed: 777, Size: 832x1216, "
    "Model hash: 6ce0161689, Model: realvisXL_v5, Denoising strength: 0.45, "
    'ADetailer model: face_yolov8n.pt, ADetailer prompt: "detailed face, smile", Hires upscale: 1.5, Hires steps: 10, '
    "Hires upscaler: 4x-UltraSharp, Hires CFG Scale: 4, Version: v1.9.4"
)
A1111_REFINER = (
    "portrait\nSteps: 40, Sampler: Euler, Schedule type: Uniform, CFG scale: 7, Seed: 5, Size: 1024x1024, "
    "Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, "
    "RNG: NV, Version: v1.8.0"
)
A1111_HASHES = (
    "portrait <lora:Flux Nurse outfit 512X768:0.75:0.5><lora:- skin - detail_V2.0:-0.4>, 85mm\n"
    "with two lines\n"
    "Negative prompt: easynegative,\nblur\n"
    "Steps: 20, Sampler: UniPC, CFG scale: 7, Seed: 1, Size: 1024x1024, Model: myXL, "
    'Lora hashes: "Flux Nurse outfit 512X768: 1ba60a4cff60, - skin - detail_V2.0: 5d8cf3724039", '
    'TI hashes: "easynegative: c74b4e810b03", '
    'Hashes: {"vae": "63aeecb90f", "lora:- skin - detail_V2.0": "aa", "model": "31e35c80fc"}, '
    "RNG: CPU, Version: v1.10.1\n"
    "Template: portrait of {a|b}, 85mm"
)
A1111_IMG2IMG = (
    "portrait\nNegative prompt: blur\n"
    "Steps: 20, Sampler: DDIM, Schedule type: Automatic, CFG scale: 7, Seed: 9, Size: 1024x1024, Model: myXL, "
    "Denoising strength: 0.4, Mask blur: 4, Inpaint area: Only masked, RNG: CPU, Version: v1.9.0"
)
A1111_LIKE_VALUES = (
    "a poster that reads Steps: 9, Sampler: none, Seed: 1\nand more text\n"
    "Steps: 20, Sampler: Euler, Schedule type: Karras, CFG scale: 7, Seed: 3, Size: 512x512, Model: myXL, "
    "Version: v1.9.0"
)
A1111_BROKEN_QUOTES = (
    'portrait\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 3, Size: 1024x1024, Note: "half, Hashes: {"model": "a, '
    "Model: myXL, RNG: CPU"
)
FORGE_FLUX = (
    'FredStyle "positive."\n\n<lora:Fred-FLUX-Share:0.95>\n<lora:Ars_Style_-_Flux:0.6>\n'
    "Steps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 3045329758, "
    "Size: 832x1216, Model hash: 06f96f89f6, Model: flux_dev, "
    'Lora hashes: "Fred-FLUX-Share: de92428f6411, Ars_Style_-_Flux: c4f0b45e6a60", '
    "Version: f2.0.1v1.10.1-previous-561-g82eb7566, Diffusion in Low Bits: Automatic (fp16 LoRA), Module 1: ae, "
    "Module 2: clip_l, Module 3: t5xxl_fp8_e4m3fn"
)
FORGE_CLIP_SKIP = (
    "portrait\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 3, Size: 1024x1024, "
    "Model: myXL, Clip skip: 3, RNG: CPU, Version: f2.0.1v1.10.1"
)
CIVITAI_FLUX = (
    "old fisherman mending nets\n"
    "Steps: 20, CFG scale: 3.5, Sampler: Undefined, Seed: 1234567890, Size: 832x1216, Clip skip: 2, "
    "Created Date: 2024-09-01T00:00:00.000Z, "
    'Civitai resources: [{"type":"checkpoint","modelVersionId":691639,"modelName":"FLUX","modelVersionName":"Dev"},'
    '{"type":"lora","weight":0.85,"modelVersionId":210432,"modelName":"Film Look","modelVersionName":"v1"}], '
    "Civitai metadata: {}"
)
CIVITAI_ONE_LINE = (
    "Negative space, fog, a vintage car, in the style of a movie Negative prompt: Steps: 23, Sampler: Euler a, "
    "CFG scale: 4, Seed: 1760020955, Size: 832x1216, "
    'Civitai resources: [{"type":"checkpoint","modelVersionId":128078,"modelName":"SD XL","modelVersionName":"v1.0"}], '
    "Civitai metadata: {}"
)
SDNEXT = (
    "<lora:Lemons-000005:1.0>wl_lemons, old man\n"
    "Negative prompt: \n"
    "Steps: 30, Size: 832x1216, Sampler: DPM++ 2M, Seed: 3873706916, CFG scale: 6, CFG rescale: 0.7, CFG end: 0.8, "
    "Clip skip: 2, Model: SDXLFaetastic_v24, Model hash: 07b985d12f, App: SD.Next, Version: cb0eb55, "
    "Pipeline: StableDiffusionXLPipeline, Operations: txt2img; hires, Refine: True, Hires steps: 20, "
    "Hires upscaler: ESRGAN 4x Remacri, Hires scale: 2, Hires size: 1664x2432, Hires strength: 0.3, "
    "Sampler sigma: karras, Sampler dynamic shift: False, LoRA networks: Lemons-000005"
)
PACK_TEXT = (
    "a red fox\nNegative prompt: blurry\n"
    "Steps: 30, Sampler: dpmpp_2m_sde_gpu, Scheduler: karras, CFG scale: 4.5, Seed: 639466906728691, Size: 1216x832, "
    "Model hash: BB2C170125, Model: JANXL4realish, Version: ComfyUI"
)
PROMPT_ONLY = "just a prompt\r\nover two lines\nNegative prompt: blur"
WINDOWS_LINES = A1111_NEW.replace("\n", "\r\n")
UNICODE_PROMPT = A1111_NEW.replace("portrait", "Bildnis von Änne, 光 \U0001f4a1")
FOOOCUS_A1111 = (
    "cinematic still portrait . emotional, harmonious\n"
    "Negative prompt: anime, cartoon, blur\n"
    "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 5403816327163523621, Size: 1152x896, CFG scale: 4.0, "
    'Sharpness: 2.0, ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernautXL_v8Rundiffusion, Model hash: aeb7e9e689, '
    'Performance: Speed, Scheduler: karras, VAE: Default (model), Raw prompt: "portrait,\\nof a woman", '
    'Raw negative prompt: blur, Lora hashes: "sd_xl_offset: 4852686128", Lora weights: "sd_xl_offset: 0.1", '
    "Version: Fooocus v2.5.5"
)
FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["anime, blur"],
    "full_prompt": ["cinematic still portrait"],
    "guidance_scale": 4.0,
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "lora_combined_1": "sd_xl_offset_example-lora_1.0 : 0.1",
    "metadata_scheme": "fooocus",
    "negative_prompt": "",
    "performance": "Speed",
    "prompt": "portrait",
    "prompt_expansion": "",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "5403816327163523621",
    "sharpness": 2.0,
    "steps": 30,
    "styles": "['Fooocus V2', 'Fooocus Sharp']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}
SWARM = {
    "sui_image_params": {
        "prompt": "portrait of a woman <segment:face,0.6,0.5> sharp eyes",
        "negativeprompt": "",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": "18446744073709551615",
        "steps": "20",
        "cfgscale": 7.0,
        "aspectratio": "1:1",
        "width": 1024,
        "height": 1024,
        "sampler": "euler",
        "scheduler": "normal",
        "loras": ["film", "skin"],
        "loraweights": ["0.5", "1"],
        "refinercontrolpercentage": 0.2,
        "refinermethod": "PostApply",
        "refinerupscale": 1.5,
        "swarm_version": "0.9.3.1",
    },
    "sui_extra_data": {"date": "2025-01-25", "generation_time": "4.84 sec"},
    "sui_models": [{"name": "sd_xl_base_1.0.safetensors", "param": "model", "hash": "0xd7a9105a900fd52748f20725fe52f"}],
}
SWARM_FLUX = {
    "sui_image_params": {
        "prompt": "portrait", "model": "Flux/flux1-dev-fp8", "seed": 7, "steps": 20, "cfgscale": 1,
        "fluxguidancescale": 3.5, "width": 832, "height": 1216, "sampler": "euler", "scheduler": "simple",
    }
}  # fmt: skip
INVOKE_SDXL = {
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a robot reading a book",
    "negative_prompt": "blurry, low quality",
    "width": 1184,
    "height": 888,
    "seed": 591741300,
    "rand_device": "cpu",
    "cfg_scale": 5.0,
    "cfg_rescale_multiplier": 0.0,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "model": {"key": "db73016a", "hash": "blake3:8967e7e6", "name": "myXL_endgame", "base": "sdxl", "type": "main"},
    "positive_style_prompt": "a robot reading a book",
    "negative_style_prompt": "",
    "loras": [{"model": {"name": "Dramatic_Lighting_v3", "base": "sdxl"}, "weight": 1.5}],
    "refiner_model": {"name": "sd_xl_refiner", "base": "sdxl-refiner"},
    "refiner_steps": 10,
    "refiner_start": 0.8,
    "refiner_scheduler": "euler_a",
    "app_version": "5.4.2",
}
INVOKE_3 = {
    "generation_mode": "sdxl_img2img",
    "positive_prompt": "a lake",
    "negative_prompt": "",
    "seed": 3,
    "width": 1024,
    "height": 1024,
    "steps": 20,
    "cfg_scale": 7.5,
    "scheduler": "euler_a",
    "rand_device": "cuda",
    "strength": 0.6,
    "model": {"model_name": "stable-diffusion-xl-base-1-0", "base_model": "sdxl", "model_type": "main"},
    "loras": [{"lora": {"model_name": "old", "base_model": "sdxl"}, "weight": 0.8}],
}
INVOKE_FLUX = {
    "generation_mode": "flux_txt2img", "positive_prompt": "a lake", "guidance": 4, "steps": 30, "seed": 3,
    "width": 1360, "height": 768, "model": {"name": "FLUX Dev", "base": "flux", "hash": "blake3:x"},
    "vae": {"name": "FLUX.1-schnell_ae", "base": "flux"},
}  # fmt: skip


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def sampler(seed: int = 18446744073709551615, **changes: Any) -> dict[str, Any]:
    return node(
        "KSampler",
        **{
            "seed": seed, "steps": 25, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
        } | changes,
    )  # fmt: skip


COMFY: dict[str, Any] = {
    "3": sampler(),
    "4": node("CheckpointLoaderSimple", ckpt_name="photo\\juggernautXL_v9.safetensors"),
    "5": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
    "6": node("CLIPTextEncode", text="portrait, side light", clip=["4", 1]),
    "7": node("CLIPTextEncode", text="plastic skin", clip=["4", 1]),
    "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
}
COMFY_LORAS = COMFY | {
    "3": sampler(model=["11", 0]),
    "6": node("CLIPTextEncode", text="portrait", clip=["12", 0]),
    "10": node(
        "LoraLoader", lora_name="film.safetensors", strength_model=0.8, strength_clip=0.8, model=["4", 0], clip=["4", 1]
    ),
    "11": node("LoraLoaderModelOnly", lora_name="sub/skin.safetensors", strength_model=0.5, model=["10", 0]),
    "12": node("CLIPSetLastLayer", stop_at_clip_layer=-3, clip=["10", 1]),
}  # fmt: skip
COMFY_BASE_REFINER: dict[str, Any] = {
    "10": node(
        "KSamplerAdvanced", add_noise="enable", noise_seed=721897303308196, steps=25, cfg=8, sampler_name="euler",
        scheduler="normal", start_at_step=0, end_at_step=20, return_with_leftover_noise="enable", model=["4", 0],
        positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
    ),
    "11": node(
        "KSamplerAdvanced", add_noise="disable", noise_seed=0, steps=25, cfg=8, sampler_name="euler",
        scheduler="normal", start_at_step=20, end_at_step=10000, return_with_leftover_noise="disable",
        model=["12", 0], positive=["15", 0], negative=["16", 0], latent_image=["10", 0],
    ),
    "4": node("CheckpointLoaderSimple", ckpt_name="sd_xl_base_1.0.safetensors"),
    "12": node("CheckpointLoaderSimple", ckpt_name="sd_xl_refiner_1.0.safetensors"),
    "5": node("EmptyLatentImage", width=1024, height=1024, batch_size=1),
    "6": node("CLIPTextEncode", text="base prompt", clip=["4", 1]),
    "7": node("CLIPTextEncode", text="", clip=["4", 1]),
    "15": node("CLIPTextEncode", text="refiner prompt", clip=["12", 1]),
    "16": node("CLIPTextEncode", text="refiner negative", clip=["12", 1]),
    "17": node("VAEDecode", samples=["11", 0], vae=["12", 2]),
    "19": node("SaveImage", filename_prefix="ComfyUI", images=["17", 0]),
}  # fmt: skip
COMFY_FLUX: dict[str, Any] = {
    "6": node("CLIPTextEncode", text=["30", 0], clip=["11", 0]),
    "8": node("VAEDecode", samples=["13", 0], vae=["10", 0]),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    "10": node("VAELoader", vae_name="ae.safetensors"),
    "11": node("DualCLIPLoader", clip_name1="t5xxl_fp16.safetensors", clip_name2="clip_l.safetensors", type="flux"),
    "12": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    "13": node(
        "SamplerCustomAdvanced", noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["17", 0],
        latent_image=["27", 0],
    ),
    "16": node("KSamplerSelect", sampler_name="euler"),
    "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0, model=["28", 0]),
    "22": node("BasicGuider", model=["28", 0], conditioning=["26", 0]),
    "25": node("RandomNoise", noise_seed=219670278747233),
    "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
    "27": node("EmptySD3LatentImage", width=["31", 0], height=1216, batch_size=1),
    "28": node("ModelSamplingFlux", max_shift=1.15, base_shift=0.5, width=832, height=1216, model=["12", 0]),
    "30": node("StringConcatenate", string_a="portrait", string_b=["32", 0], delimiter=", "),
    "31": node("PrimitiveInt", value=832),
    "32": node("PrimitiveString", value="side light"),
}  # fmt: skip
COMFY_IMG2IMG = COMFY | {
    "3": sampler(latent_image=["20", 0], denoise=0.5, steps=20),
    "20": node("VAEEncode", pixels=["21", 0], vae=["4", 2]),
    "21": node("LoadImage", image="woman.png", upload="image"),
}
COMFY_HIRES = COMFY | {
    "30": node("LatentUpscaleBy", upscale_method="bislerp", scale_by=1.5, samples=["3", 0]),
    "31": sampler(seed=42, latent_image=["30", 0], denoise=0.5, positive=["33", 0]),
    "33": node("CLIPTextEncode", text="another prompt", clip=["4", 1]),
    "8": node("VAEDecode", samples=["31", 0], vae=["4", 2]),
}
COMFY_ZERO = COMFY | {
    "3": sampler(negative=["18", 0], positive=["19", 0]),
    "18": node("ConditioningZeroOut", conditioning=["6", 0]),
    "19": node(
        "ControlNetApplyAdvanced", strength=0.6, start_percent=0, end_percent=1, positive=["6", 0],
        negative=["18", 0], control_net=["23", 0], image=["24", 0],
    ),
    "23": node("ControlNetLoader", control_net_name="canny.safetensors"),
    "24": node("LoadImage", image="edges.png"),
}  # fmt: skip
COMFY_TWO_SAVED = COMFY | {
    "40": sampler(seed=1, positive=["41", 0]),
    "41": node("CLIPTextEncode", text="the other prompt", clip=["4", 1]),
    "42": node("VAEDecode", samples=["40", 0], vae=["4", 2]),
    "43": node("SaveImage", filename_prefix="other", images=["42", 0]),
}
COMFY_EFFICIENT = {
    "1": node(
        "Efficient Loader", ckpt_name="myXL.safetensors", vae_name="Baked VAE", clip_skip=-2, lora_name="None",
        lora_model_strength=1, lora_clip_strength=1, positive="portrait", negative="blur", empty_latent_width=832,
        empty_latent_height=1216, batch_size=1, token_normalization="none", weight_interpretation="comfy",
    ),
    "12:3": node(
        "KSampler (Efficient)", seed=456, steps=25, cfg=7, sampler_name="dpmpp_2m", scheduler="karras", denoise=1,
        preview_method="auto", vae_decode="true", model=["1", 0], positive=["1", 1], negative=["1", 2],
        latent_image=["1", 3], optional_vae=["1", 4],
    ),
    "20": node("SaveImage", filename_prefix="x", images=["12:3", 5]),
    "21": node("Note", text="to do"),
}  # fmt: skip
COMFY_RGTHREE = COMFY | {
    "3": sampler(seed=["50", 0], model=["51", 0]),
    "50": node("Seed (rgthree)", seed=77),
    "51": node(
        "Power Lora Loader (rgthree)", PowerLoraLoaderHeaderWidget={"type": "x"},
        lora_1={"on": True, "lora": "film.safetensors", "strength": 0.7},
        lora_2={"on": False, "lora": "off.safetensors", "strength": 1}, model=["4", 0], clip=["4", 1],
    ),
}  # fmt: skip
COMFY_NAN = json.dumps(COMFY | {"9": COMFY["9"] | {"is_changed": ["x"]}}).replace('["x"]', "[NaN]")
EDITOR = {"nodes": [{"id": 3, "type": "KSampler", "widgets_values": [1, "randomize", 20, 8]}], "links": []}
NOVELAI = {"prompt": "x", "uc": "y", "steps": 28, "scale": 5, "seed": 1, "sampler": "k_euler"}
CIVITAI_COMFY = {
    "resource-stack": node("CheckpointLoaderSimple", ckpt_name="urn:air:sdxl:checkpoint:civitai:101055@128078"),
    "6": node("smZ CLIPTextEncode", text="portrait", parser="A1111", clip=["resource-stack", 1]),
    "7": node("smZ CLIPTextEncode", text="blur", parser="A1111", clip=["resource-stack", 1]),
    "5": node("EmptyLatentImage", width=832, height=1216, batch_size=1),
    "11": sampler(seed=3, model=["resource-stack", 0], sampler_name="euler_ancestral", scheduler="normal"),
    "13": node("VAEDecode", samples=["11", 0], vae=["resource-stack", 2]),
    "12": node("SaveImage", filename_prefix="ComfyUI", images=["13", 0]),
    "extra": {"airs": ["urn:air:sdxl:checkpoint:civitai:101055@128078"]},
    "extraMetadata": '{"prompt":"portrait"}',
}

TEXTS = {
    name: text
    for name, text in list(globals().items())
    if isinstance(text, str) and name.isupper() and name != "COMFY_NAN"
}
"""Samples that stand under `parameters` or in a UserComment."""
GRAPHS = {
    "COMFY": COMFY, "COMFY_LORAS": COMFY_LORAS, "COMFY_BASE_REFINER": COMFY_BASE_REFINER, "COMFY_FLUX": COMFY_FLUX,
    "COMFY_IMG2IMG": COMFY_IMG2IMG, "COMFY_HIRES": COMFY_HIRES, "COMFY_ZERO": COMFY_ZERO,
    "COMFY_TWO_SAVED": COMFY_TWO_SAVED, "COMFY_EFFICIENT": COMFY_EFFICIENT, "COMFY_RGTHREE": COMFY_RGTHREE,
}  # fmt: skip
"""Samples that stand under `prompt`."""
