"""PyTorch's side of head_epoch.ts: one epoch of a Dense(1, sigmoid) head for each line read, its seconds written as a line.

The fastest fair forms that we know: no DataLoader, rows taken by a shuffled index, logits with the loss. A line names the
variant of Adam (fused, foreach or plain; of hand, fused Adam, the gradient is written out too) and the number of threads.
"""
import sys
import time

import torch

n, d, batch = map(int, sys.argv[1:4])
torch.manual_seed(0)
x = torch.rand(n, d)
y = (torch.rand(n) < 0.5).float()
variants = {
    "fused": dict(fused=True),
    "foreach": dict(foreach=True),
    "plain": dict(foreach=False),
    "hand": dict(fused=True),
}
loss_of = torch.nn.BCEWithLogitsLoss()
state = {}
for name, arguments in variants.items():
    layer = torch.nn.Linear(d, 1)
    state[name] = layer, torch.optim.Adam(layer.parameters(), lr=1e-3, eps=1e-7, **arguments)


def automatic(layer, adam):
    for rows in torch.randperm(n).split(batch):
        adam.zero_grad(set_to_none=True)
        loss_of(layer(x[rows]).squeeze(1), y[rows]).backward()
        adam.step()


@torch.no_grad()
def by_hand(layer, adam):
    weight, bias = layer.weight, layer.bias
    weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
    total = torch.zeros(())
    for rows in torch.randperm(n).split(batch):
        taken, wanted = x.index_select(0, rows), y.index_select(0, rows)
        logits = torch.addmv(bias, taken, weight[0])
        total += torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
        delta = (torch.sigmoid(logits) - wanted) / len(rows)
        torch.mv(taken.t(), delta, out=weight.grad[0])
        torch.sum(delta, 0, keepdim=True, out=bias.grad)
        adam.step()
    return total


print(torch.__version__, flush=True)

for line in sys.stdin:
    variant, threads = line.split()
    torch.set_num_threads(int(threads))
    layer, adam = state[variant]
    start = time.perf_counter()
    (by_hand if variant == "hand" else automatic)(layer, adam)
    print(time.perf_counter() - start, flush=True)
