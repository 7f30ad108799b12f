"""Which devices work is spread over. Found without PyTorch: the service asks, and must not load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from indexer.runtime.gpu import GpuReading

PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""For the environment of workers: CUDA then counts the cards as the driver (and nvidia-smi) does, not by speed."""

CUDA_MEMORY = {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}
"""For the same, and for who builds engines: batches of many sizes then leave no gaps that nothing fits into."""


def devices_for(
    device: str, *, use_multi_gpu: bool, cards: Sequence[GpuReading], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """The devices of the workers, one for each: "auto", "cpu", "cuda" or "cuda:1".

    Only "auto" is spread, and only over several cards that CUDA may see. For a single worker it stays "auto": the
    worker has PyTorch, and knows better whether a card can be used and what to do where none can.
    """
    visible = visible_cards(cards, environment)
    if device == "auto" and use_multi_gpu and len(visible) > 1:
        return tuple(f"cuda:{number}" for number in range(len(visible)))
    return (device,)


def visible_cards(cards: Sequence[GpuReading], environment: Mapping[str, str]) -> tuple[GpuReading, ...]:
    """The cards that CUDA shows to a program, in CUDA's order under `PCI_ORDER`.

    After the CUDA programming guide: CUDA_VISIBLE_DEVICES lists numbers or beginnings of UUIDs ("GPU-5ac6"); what
    follows an entry that is neither is not seen.
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return tuple(cards)
    visible: list[GpuReading] = []
    for entry in listed.split(","):
        card = _card(entry.strip(), cards)
        if card is None or card in visible:
            break
        visible.append(card)
    return tuple(visible)


def cards_of(device: str, cards: Sequence[GpuReading], environment: Mapping[str, str]) -> tuple[GpuReading, ...]:
    """The card that a worker's device stands for; none for the CPU, or if there is no such card."""
    visible = visible_cards(cards, environment)
    if device == "cpu":
        return ()
    number = int(device.partition(":")[2] or 0)
    return visible[number : number + 1]


def _card(entry: str, cards: Sequence[GpuReading]) -> GpuReading | None:
    if entry.isdecimal():
        return cards[int(entry)] if int(entry) < len(cards) else None
    matching = [card for card in cards if entry.startswith("GPU-") and card.uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None
