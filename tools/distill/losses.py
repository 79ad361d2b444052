"""The losses: the teacher's vectors, its similarities within a batch, and labels."""

from dataclasses import dataclass

from tools.distill.network import Student
from tools.distill.pytorch import nn, torch
from tools.distill.schedule import Schedule


@dataclass(frozen=True)
class Batch:
    """Images and what is known of them.

    pixels     (n, 3, side, side)
    targets    (n, dim) the teacher's vectors
    labels     (n,) label numbers, -1 where unknown
    instances  (n,) numbers of the single object shown, -1 where unknown
    """

    pixels: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor
    instances: torch.Tensor

    def shard(self, number: int, of: int) -> "Batch":
        """Return every `of`-th row, from `number` on."""
        rows = slice(number, None, of)
        # A copy: the layers are fastest on images that are contiguous in memory.
        pixels = self.pixels[rows].contiguous(memory_format=torch.channels_last)
        return Batch(pixels, self.targets[rows], self.labels[rows], self.instances[rows])


class LabelHeads(nn.Module):  # type: ignore[misc]
    """The weights that only the label losses use; not exported.

    `classifier` reads the pooled features. `labels` and `instances` are proxies: a direction among the
    vectors for each label and each single object.
    """

    def __init__(self, head: int, dim: int, labels: int, instances: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(head, labels)
        self.labels = nn.Parameter(torch.randn(labels, dim))
        self.instances = nn.Parameter(torch.randn(max(instances, 1), dim))


def losses(
    student: Student, heads: LabelHeads, batch: Batch, schedule: Schedule
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the weighted sum of the losses, and each loss by name.

    vector          1 - cosine to the teacher's vector
    similarity      each image's distribution over the others of the batch (softmax of cosines) should be
                    the teacher's, because a search shows the order of neighbours
    label           cross-entropy of a classifier on the pooled features, smoothed
    label_proxy, instance_proxy  for images of a known single object: the vector should be nearest to the
                    proxy of its label, and of its object (normalised softmax; Zhai and Wu,
                    "Classification is a Strong Baseline for Deep Metric Learning", BMVC 2019)
    """
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=schedule.bfloat16):
        pooled = student.pooled(batch.pixels)
    pooled = pooled.float()
    vectors = nn.functional.normalize(student.vector(pooled), dim=1)
    parts = {
        "vector": 1 - (vectors * batch.targets).sum(1).mean(),
        "similarity": similarity_loss(vectors, batch.targets, schedule.temperature),
    }
    labelled, single = batch.labels >= 0, batch.instances >= 0
    if labelled.any():
        parts["label"] = nn.functional.cross_entropy(
            heads.classifier(pooled[labelled]), batch.labels[labelled], label_smoothing=0.1
        )
    if single.any():
        for name, proxies, numbers in (
            ("label_proxy", heads.labels, batch.labels),
            ("instance_proxy", heads.instances, batch.instances),
        ):
            parts[name] = proxy_loss(
                vectors[single], proxies, numbers[single], schedule.temperature
            )
    total = sum(schedule.weights[name] * part for name, part in parts.items())
    assert isinstance(total, torch.Tensor)
    return total, {name: float(part.detach()) for name, part in parts.items()}


def proxy_loss(
    vectors: torch.Tensor, proxies: torch.Tensor, numbers: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the cross-entropy of the softmax over cosines between unit vectors and all proxies."""
    cosines = vectors @ nn.functional.normalize(proxies, dim=1).T
    return nn.functional.cross_entropy(cosines / temperature, numbers)


def similarity_loss(
    vectors: torch.Tensor, targets: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Return the Kullback-Leibler divergence between the softmaxed cosine matrices of the student and the
    teacher, without their diagonals."""
    diagonal = torch.eye(len(vectors), dtype=torch.bool)
    student = (vectors @ vectors.T / temperature).masked_fill(diagonal, -1e4)
    teacher = (targets @ targets.T / temperature).masked_fill(diagonal, -1e4)
    divergence: torch.Tensor = nn.functional.kl_div(
        student.log_softmax(1), teacher.log_softmax(1), log_target=True, reduction="batchmean"
    )
    return divergence
