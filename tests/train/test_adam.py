"""Adam over rows is torch's own over a list of rows, each of which counts its own steps."""

import pytest
import torch

from pricon.spec.training import OptimisationSpec
from pricon.train.adam import Adam

SPECS = {
    "adam": OptimisationSpec(),
    "adam with decay": OptimisationSpec(weight_decay=0.1),
    "adamw": OptimisationSpec(optimiser="adamw", weight_decay=0.1),
}
TAKES_PART = [(True,) * 3, (True, False, True), (False, False, True), (True,) * 3, (False,) * 3]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_rows_move_as_with_the_optimiser_of_torch(spec: OptimisationSpec) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(3, 50, generator=generator)
    rows = [row.clone().requires_grad_() for row in ours]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.optimiser]
    theirs = kind(rows, lr=0.01, weight_decay=spec.weight_decay)
    adam = Adam(ours, 0.01, spec, [{} for _ in rows])
    for step, takes_part in enumerate(TAKES_PART * 4):
        gradient = torch.randn(3, 50, generator=generator) * 10.0 ** (step % 7 - 5)
        before = ours.clone()
        adam.step(gradient, takes_part)
        for row, own, is_in in zip(rows, gradient, takes_part, strict=True):
            row.grad = own if is_in else None
        theirs.step()
        assert torch.allclose(ours, torch.stack(rows), rtol=0, atol=2e-6)
        moved = (ours != before).any(dim=1).tolist()
        assert moved == list(takes_part), "who does not take part stays where it is, to the bit"
    for row, state in zip(rows, adam.states(), strict=True):
        assert state["step"] == theirs.state[row]["step"]
        for name in ("exp_avg", "exp_avg_sq"):
            assert torch.allclose(state[name], theirs.state[row][name], rtol=1e-4, atol=1e-9)


def test_goes_on_from_its_states_and_with_some_of_its_rows() -> None:
    spec = OptimisationSpec()
    gradients = torch.randn(6, 3, 20, generator=torch.Generator().manual_seed(0))
    whole, cut = torch.zeros(3, 20), torch.zeros(3, 20)
    one, other = (Adam(of, 0.01, spec, [{}] * 3) for of in (whole, cut))
    for step, gradient in enumerate(gradients):
        one.step(gradient, (True,) * 3)
        if step == 2:
            cut = cut[[0, 2]]
            other.keep(cut, [0, 2])
        if step == 4:
            other = Adam(cut, 0.01, spec, other.states())
        kept = gradient if step < 2 else gradient[[0, 2]]
        other.step(kept, (True,) * len(kept))
    assert torch.equal(cut, whole[[0, 2]])
