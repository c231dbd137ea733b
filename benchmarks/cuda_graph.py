"""The floor on a GPU: the networks of MNIST_VAE in plain PyTorch, with each step replayed as one CUDA graph."""

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.floor import BATCH_SIZE, BETA, LEARNING_RATE, N_TRAIN, VAE, get_batch, read_pictures

_WARM_UP = 3


def train(data_root: Path, directory: Path, tick: Callable[[], None]) -> None:
    """Train forever on full batches, and tick after each step."""
    torch.manual_seed(0)
    device = torch.device("cuda")
    pictures = read_pictures(data_root).to(device)
    model = VAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True, capturable=True)
    indices = torch.zeros(BATCH_SIZE, dtype=torch.int64, device=device)

    def step() -> None:
        reconstruction, regularization = model(get_batch(pictures, indices))
        (reconstruction + BETA * regularization).backward()
        optimizer.step()

    graph = _capture(step, optimizer)
    while True:
        order = torch.randperm(N_TRAIN, device=device)
        for start in range(0, N_TRAIN - BATCH_SIZE + 1, BATCH_SIZE):
            indices.copy_(order[start : start + BATCH_SIZE])
            graph.replay()
            tick()


def _capture(step: Callable[[], None], optimizer: torch.optim.Optimizer) -> torch.cuda.CUDAGraph:
    """Capture a step after some uncaptured ones. The graph owns the memory of the gradients."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            optimizer.zero_grad()
            step()
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph
