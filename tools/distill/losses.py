"""What a student is told in every step: the teacher's vector, the order of neighbours, names of
things.
"""

from dataclasses import dataclass

from tools.distill.network import Student
from tools.distill.plan import Plan
from tools.distill.pytorch import nn, torch


@dataclass(frozen=True)
class Batch:
    """Pictures `(n, 3, side, side)`, the teacher's vectors, and numbers of labels and of things; -1
    where none is known.
    """

    pixels: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor
    things: torch.Tensor

    def share(self, number: int, of: int) -> "Batch":
        """Every `of`-th row, from `number` on."""
        rows = slice(number, None, of)
        # A copy, for the layers are fastest on pictures that lie in memory one after the other.
        pixels = self.pixels[rows].contiguous(memory_format=torch.channels_last)
        return Batch(pixels, self.targets[rows], self.labels[rows], self.things[rows])


class Names(nn.Module):  # type: ignore[misc]
    """What the labels hang on while a student learns; nothing of it is exported.

    `classifier` reads the pooled features. `labels` and `things` are directions among the finished
    vectors (proxies), one for each label and each single thing.
    """

    def __init__(self, head: int, dim: int, labels: int, things: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(head, labels)
        self.labels = nn.Parameter(torch.randn(labels, dim))
        self.things = nn.Parameter(torch.randn(max(things, 1), dim))


def losses(
    student: Student, names: Names, batch: Batch, plan: Plan
) -> tuple[torch.Tensor, dict[str, float]]:
    """The weighted sum, and its parts for the curves.

    vector: 1 - cosine to the teacher's. likeness: each picture's distribution over the others of
    the batch (softmax of cosines) should be the teacher's, for the order of neighbours is what a
    search shows. label: cross-entropy of the pooled features, smoothed. kind and thing: for
    pictures of which the single thing is known, the vector itself should lie nearest to the
    direction of its label, and of the thing (normalised softmax; Zhai and Wu, "Classification is a
    strong baseline for deep metric learning", BMVC 2019).
    """
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=plan.bfloat16):
        pooled = student.pooled(batch.pixels)
    pooled = pooled.float()
    vectors = nn.functional.normalize(student.vector(pooled), dim=1)
    parts = {
        "vector": 1 - (vectors * batch.targets).sum(1).mean(),
        "likeness": likeness_loss(vectors, batch.targets, plan.temperature),
    }
    known, single = batch.labels >= 0, batch.things >= 0
    if known.any():
        parts["label"] = nn.functional.cross_entropy(
            names.classifier(pooled[known]), batch.labels[known], label_smoothing=0.1
        )
    if single.any():
        for name, directions, numbers in (
            ("kind", names.labels, batch.labels),
            ("thing", names.things, batch.things),
        ):
            parts[name] = direction_loss(
                vectors[single], directions, numbers[single], plan.temperature
            )
    total = sum(plan.weights[name] * part for name, part in parts.items())
    assert isinstance(total, torch.Tensor)
    return total, {name: float(part.detach()) for name, part in parts.items()}


def direction_loss(
    vectors: torch.Tensor, directions: torch.Tensor, numbers: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Cross-entropy of the softmax over cosines between unit vectors and all directions."""
    cosines = vectors @ nn.functional.normalize(directions, dim=1).T
    return nn.functional.cross_entropy(cosines / temperature, numbers)


def likeness_loss(vectors: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence between the two softmaxed cosine matrices, their diagonals left
    out.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool)
    mine = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    theirs = (targets @ targets.T / temperature).masked_fill(itself, -1e4)
    answer: torch.Tensor = nn.functional.kl_div(
        mine.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean"
    )
    return answer
