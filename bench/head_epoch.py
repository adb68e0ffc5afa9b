"""PyTorch's side of head_epoch.ts: one epoch of a Dense(1, sigmoid) head for each line read, its seconds written as a line.

The fastest fair form that we know: no DataLoader, rows taken by a shuffled index, logits with the loss. A line names the
variant of Adam (fused, foreach or plain) and the number of threads.
"""
import sys
import time

import torch

n, d, batch = map(int, sys.argv[1:4])
torch.manual_seed(0)
x = torch.rand(n, d)
y = (torch.rand(n) < 0.5).float()
variants = {"fused": dict(fused=True), "foreach": dict(foreach=True), "plain": dict(foreach=False)}
loss_of = torch.nn.BCEWithLogitsLoss()
state = {}
for name, arguments in variants.items():
    layer = torch.nn.Linear(d, 1)
    state[name] = layer, torch.optim.Adam(layer.parameters(), lr=1e-3, eps=1e-7, **arguments)
print(torch.__version__, flush=True)

for line in sys.stdin:
    variant, threads = line.split()
    torch.set_num_threads(int(threads))
    layer, adam = state[variant]
    start = time.perf_counter()
    order = torch.randperm(n)
    for rows in order.split(batch):
        adam.zero_grad(set_to_none=True)
        loss_of(layer(x[rows]).squeeze(1), y[rows]).backward()
        adam.step()
    print(time.perf_counter() - start, flush=True)
