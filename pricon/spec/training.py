"""How teachers and students are built and trained.

Origins in brackets: [A] marks a number that the abstract of PriCon (arXiv 2508.03729) does not
give; C-SCL and C-LUPI are the published codes of its two predecessors, named in the README.
"""

from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from pricon.spec.base import ContradictionError, Spec
from pricon.spec.corpus import Affect


class EncoderSpec(Spec):
    """One encoder a modality, then a fusion over their concatenation."""

    kind: Literal["mean", "gru", "transformer"] = "mean"
    """What an encoder reads: the mean of a window's frames, through linear layers ([A] C-LUPI,
    C-SCL), or the frames in their order, through a gated recurrent network whose last state is the
    encoding, or a small transformer whose outputs are averaged (ours). The last two need
    `corpus.windows.frames`."""

    width: PositiveInt = 96
    """Width of every latent vector (`d`). [A] C-LUPI."""

    depth: PositiveInt = 1
    """Linear layers, recurrent layers or transformer blocks in the encoder of a modality. [A]
    C-LUPI."""

    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """After every linear layer of encoder and fusion, and inside a transformer's blocks. [A]
    C-LUPI."""

    heads: PositiveInt = 4
    """Attention heads of a transformer; they share the width."""

    expansion: PositiveInt = 2
    """Hidden width of a transformer block's two linear layers, in widths."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the embedding that is zeroed in front of the head, in training only. [A] C-LUPI."""

    @property
    def reads_frames(self) -> bool:
        """Whether the order of frames matters."""
        return self.kind != "mean"

    @model_validator(mode="after")
    def _fields_of_a_transformer(self) -> "EncoderSpec":
        if self.kind == "transformer":
            if self.width % self.heads:
                raise ContradictionError(
                    f"`heads` share the width: {self.width} is not divisible by {self.heads}",
                    f"set `width` to a multiple of {self.heads}, or `heads` to a divisor of "
                    f"{self.width}",
                )
            return self
        for name in ("heads", "expansion"):
            if getattr(self, name) != EncoderSpec.model_fields[name].default:
                raise ContradictionError(
                    f"`{name}` belongs to `kind: transformer`, `kind` is {self.kind}",
                    f"remove `{name}`, or set `kind: transformer`",
                )
        return self


class ContrastiveSpec(Spec):
    """The supervised contrastive loss (Khosla et al. 2020)."""

    temperature: PositiveFloat = 0.1
    """Softmax temperature (tau), dimensionless. [A] C-SCL."""

    include_self: bool = False
    """Keep the anchor itself among positives and candidates, as C-SCL does. Khosla et al. leave it
    out."""

    variant: Literal["out", "in"] = "out"
    """Sum over positives outside (`out`, eq. 2) or inside (`in`, eq. 3) the logarithm."""

    contrast: Literal["level", "change", "trend"] = "level"
    """Which windows are alike in this loss, and nowhere else: those of one class (`level`), those
    whose trace changes much or little (`change`), or those whose trace rises, falls or stands
    still (`trend`). [A] C-SCL."""

    change_threshold: (
        NonNegativeFloat | Literal["training_median"] | dict[Affect, NonNegativeFloat] | None
    ) = None
    """Mean size of a trace's steps from tick to tick above which a window changes much, or one an
    affect; for `contrast: change` alone. Null is the custom of the corpus: on RECOLA 0.0017 for
    arousal and 0.0013 for valence [A] C-SCL; elsewhere the median of the fold's training windows
    (ours)."""

    sampler: Literal["shuffled", "stratified"] = "shuffled"
    """Order of the windows of an epoch: random, or random with every participant's windows of every
    kind spread evenly over it, so that each batch has its share of all of them and anchors find
    positives. Each window comes once in either. [A] C-SCL: shuffled."""

    projection_width: NonNegativeInt = 0
    """Output width of a two-layer projection head used in the contrastive stage only; 0 means none.
    [A] C-SCL."""

    @model_validator(mode="after")
    def _threshold_of_change(self) -> "ContrastiveSpec":
        if self.contrast != "change" and self.change_threshold is not None:
            raise ValueError(
                f"`change_threshold` belongs to `contrast: change`, `contrast` is {self.contrast}"
            )
        return self


class TeacherSpec(Spec):
    """The network that sees privileged modalities."""

    encoder: EncoderSpec = EncoderSpec()
    """Encoders, fusion and class head."""

    contrastive: ContrastiveSpec = ContrastiveSpec()
    """The loss that it is pretrained with."""


class DistillationSpec(Spec):
    """Student loss (1 - a) CE + a KL(softmax(teacher / T) || softmax(student / T)).

    Or, imitating the embedding h, (1 - a) CE + a (1 - cos(h of student, h of teacher)); under
    `task: regression` the squared error stands in the place of CE.
    """

    imitate: Literal["logits", "embedding"] | None = None
    """What of the teacher the student imitates: its logits, or its embedding, in front of the
    head, which needs encoders of one width. Null is the custom of the task: logits under
    classification [A] C-LUPI, the embedding under regression, where there are no logits."""

    weight: float = Field(0.25, ge=0, le=1)
    """Weight of the teacher in the student's loss (`a`); 0 is end-to-end training. [A] C-LUPI."""

    temperature: PositiveFloat = 0.5
    """Softmax temperature of both (`T`), dimensionless. [A] C-LUPI."""

    scale_by_temperature_squared: bool = False
    """Multiply the divergence by T^2, as Hinton et al. 2015 do. [A] C-LUPI does not."""

    @model_validator(mode="after")
    def _temperature_of_logits(self) -> "DistillationSpec":
        plain = DistillationSpec.model_fields["temperature"].default
        if self.imitate == "embedding" and (
            self.temperature != plain or self.scale_by_temperature_squared
        ):
            raise ValueError("a temperature belongs to `imitate: logits`, not to an embedding")
        return self


class StudentSpec(Spec):
    """The network that sees available modalities only."""

    encoder: EncoderSpec = EncoderSpec()
    """Encoders, fusion and class head; the same for all arms."""

    distillation: DistillationSpec = DistillationSpec()
    """How much it listens to its teacher; end-to-end students do not."""


class StageSpec(Spec):
    """How long and how fast one kind of stage trains."""

    learning_rate: PositiveFloat
    """The optimiser's step size."""

    epochs: PositiveInt
    """At most this many passes over the training split."""

    patience: PositiveInt
    """Stop after so many epochs without a better validation loss; the best epoch's weights are
    kept."""


class StreamingSpec(Spec):
    """Features pass by instead of being in memory, for corpora that are larger than it.

    One pass over the shards feeds all models of a pack: each gets the windows of its own split in
    batches of `batch_size`. In which order shards come is drawn for each epoch, and the same for
    all folds and seeds; in which order those windows come that are in memory together, each fold,
    seed and kind of stage draws for itself. So seeds differ in their batches too, but few
    batches hold windows of shards that were never there together, as many do in memory.
    """

    buffer_mb: PositiveFloat = 1024
    """Features in a worker's memory, megabytes, those included that are being read: among the
    others, four fifths in a large buffer, the windows of an epoch are shuffled. Besides, there are
    the windows that models wait with until they have a batch, up to twice `batch_size` for each
    fold, seed and affect of a pack, two bytes a window of the buffer for each of them, which hold
    its order, and what is known of every window of the corpus: affect, labels, what teachers
    say."""


Precision = Literal["float32", "tf32", "bf16"]


class OptimisationSpec(Spec):
    """Early stopping on the validation split, best weights kept."""

    optimiser: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma and Ba 2015) [A] C-LUPI, C-SCL; or AdamW (Loshchilov and Hutter 2019), whose
    weight decay bypasses the gradient's statistics."""

    weight_decay: NonNegativeFloat = 0.0
    """Pull of every parameter towards zero, each step: with `adam` added to the gradient, with
    `adamw` times the learning rate. [A] C-LUPI: none."""

    batch_size: int = Field(256, ge=2)
    """Windows in a step over all workers of a lane together; the result does not depend on their
    number. [A] C-LUPI."""

    contrastive: StageSpec = StageSpec(learning_rate=1e-3, epochs=300, patience=10)
    """Contrastive pretraining; stops on the validation contrastive loss. [A] C-SCL."""

    probe: StageSpec = StageSpec(learning_rate=1e-3, epochs=100, patience=10)
    """Linear probe on the frozen encoder. [A] rate and patience C-SCL; epochs ours."""

    supervised: StageSpec = StageSpec(learning_rate=5e-4, epochs=50, patience=5)
    """Supervised teachers and all students; stops on validation cross-entropy (squared error under
    `task: regression`), never on the mixed loss, so that all arms are selected by one criterion.
    [A] C-LUPI."""

    precision: Precision = "float32"
    """Of products of matrices while training: `tf32` (10 bits of a float32's 23, on GPUs that have
    it, and float32 elsewhere) or `bf16` (7 bits). Losses, optimiser and evaluation stay in float32.
    [A] C-LUPI: float32."""

    streaming: StreamingSpec | None = None
    """How features are read that do not fit into memory; null has all of them in memory."""

    gradient_clip_norm: PositiveFloat | None = None
    """Largest gradient norm of one model in a step; null leaves gradients alone. [A] C-LUPI."""

    @model_validator(mode="after")
    def _decay_of_adamw(self) -> "OptimisationSpec":
        if self.optimiser == "adamw" and not self.weight_decay:
            raise ContradictionError(
                "`optimiser: adamw` without `weight_decay` is adam",
                "set `weight_decay: 0.01`, for example, or remove `optimiser`",
            )
        return self
