import numpy as np
import torch

from pricon.model.keyed import Draws, bits, derive, dropout_mask, key_of, uniform


def splitmix64(state: int) -> int:
    """Steele, Lea, Flood 2014, in Python's own integers."""
    mask = 2**64 - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_bits_are_those_of_splitmix64() -> None:
    # The published first outputs for seed 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    drawn = bits(torch.tensor([1234567]), torch.arange(3))
    assert [value % 2**64 for value in drawn.tolist()] == published
    assert splitmix64(1234567) == published[0]


def test_negative_keys_are_shifted_with_zeros_from_the_left() -> None:
    key = -(2**62) - 12345
    assert bits(torch.tensor([key]), torch.zeros(1, dtype=torch.int64)).item() % 2**64 == (
        splitmix64(key % 2**64)
    )


def test_a_draw_depends_on_its_key_alone() -> None:
    keys = torch.tensor([key_of("a"), key_of("b"), key_of("c")])
    together = uniform(keys, 1000)
    alone = uniform(keys[1:2], 1000)
    assert torch.equal(together[1:2], alone)
    assert 0 <= together.min() < 0.01
    assert 0.99 < together.max() < 1
    correlation = np.corrcoef(together.numpy())
    assert np.abs(correlation - np.eye(3)).max() < 0.1


def test_purposes_and_indices_give_unrelated_keys() -> None:
    keys = torch.tensor([key_of("a")])
    derived = {derive(keys, purpose, i).item() for purpose in ("x", "y") for i in range(100)}
    assert len(derived) == 200


def test_dropout_zeroes_the_asked_share_and_keeps_the_mean() -> None:
    keys = torch.tensor([key_of("a"), key_of("b")])
    windows = torch.arange(2000).repeat(2, 1)
    mask = dropout_mask(keys, windows, width=95, rate=0.3)
    assert mask.shape == (2, 2000, 95)
    assert abs((mask == 0).double().mean().item() - 0.3) < 0.005
    assert abs(mask.double().mean().item() - 1) < 0.01
    assert not torch.equal(mask[0], mask[1])


def test_dropout_of_a_window_does_not_depend_on_its_batch() -> None:
    keys = torch.tensor([key_of("a")])
    whole = dropout_mask(keys, torch.arange(10)[None], width=96, rate=0.1)
    part = dropout_mask(keys, torch.tensor([[7, 3]]), width=96, rate=0.1)
    assert torch.equal(part, whole[:, [7, 3]])


def test_streams_hand_out_what_was_drawn_once() -> None:
    draws = Draws.among(["b", "a", "b", "c"], torch.device("cpu"))
    assert draws.first.tolist() == [0, 1, 3]
    assert draws.of.tolist() == [0, 1, 0, 2]
    assert draws.expand(torch.tensor([[10], [20], [30]])).tolist() == [[10], [20], [10], [30]]
    separate = Draws.among(range(3), torch.device("cpu"))
    drawn = torch.tensor([1, 2, 3])
    assert separate.expand(drawn) is drawn
