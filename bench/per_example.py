"""PyTorch beside our step: LoRA on a GPT-2 of a given size, one thread, per-example clipping.

Started by trainer.ts with the sizes as JSON. Reads the name of a step a line from standard input, runs it and
prints its processor and clock seconds as JSON. Steps: plain (no privacy), batch-axis (adapters with an axis of
examples, the fastest way in torch 1.13), vmap (functorch's vmap of grad).
"""

import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from functorch import grad, vmap

size = json.loads(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(1)
V, L, D, H, B, T, R = (size[name] for name in ("vocabulary", "layers", "width", "heads", "rows", "tokens", "rank"))
SCALE = size["alpha"] / R


def normal(*shape):
    return torch.randn(*shape) * 0.02


wte, wpe = normal(V, D), normal(size["context"], D)
mask = torch.full((T, T), -math.inf).triu(1)
blocks = [
    {
        "ln1": (torch.ones(D), torch.zeros(D)),
        "ln2": (torch.ones(D), torch.zeros(D)),
        "attn": (normal(D, 3 * D), torch.zeros(3 * D)),
        "out": (normal(D, D), torch.zeros(D)),
        "fc": (normal(D, 4 * D), torch.zeros(4 * D)),
        "proj": (normal(4 * D, D), torch.zeros(D)),
    }
    for _ in range(L)
]
final = (torch.ones(D), torch.zeros(D))
adapters = [tensor for _ in range(L) for tensor in (normal(R, D), normal(3 * D, R))]
ids = (torch.arange(B * T) * 7919 % V).view(B, T)
targets = ids.roll(-1, 1)


def linear(x, layer):
    return x @ layer[0] + layer[1]


def row_losses(adapters, ids, targets):
    """Mean loss of each row; adapters are [r, in] and [out, r], or the same with the rows in front."""
    rows = ids.shape[0]
    x = wte[ids] + wpe[:T]
    for number, block in enumerate(blocks):
        down, up = adapters[2 * number], adapters[2 * number + 1]
        normed = F.layer_norm(x, (D,), *block["ln1"])
        joint = linear(normed, block["attn"]) + SCALE * (normed @ down.transpose(-1, -2)) @ up.transpose(-1, -2)
        q, k, v = joint.view(rows, T, 3, H, D // H).permute(2, 0, 3, 1, 4)
        weights = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(D // H) + mask, -1)
        mixed = (weights @ v).transpose(1, 2).reshape(rows, T, D)
        x = x + linear(mixed, block["out"])
        hidden = F.gelu(linear(F.layer_norm(x, (D,), *block["ln2"]), block["fc"]), approximate="tanh")
        x = x + linear(hidden, block["proj"])
    logits = F.layer_norm(x, (D,), *final) @ wte.T
    return F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1), reduction="none").view(rows, T).mean(1)


def clipped(gradients, clip=0.1):
    flat = [gradient.reshape(B, -1) for gradient in gradients]
    norms = torch.sqrt(sum((part * part).sum(1) for part in flat))
    factors = torch.clamp(clip / norms, max=1)
    return [factors @ part for part in flat]


def plain():
    leaves = [tensor.requires_grad_() for tensor in adapters]
    return torch.autograd.grad(row_losses(leaves, ids, targets).sum(), leaves)


def batch_axis():
    leaves = [tensor.detach().expand(B, *tensor.shape).requires_grad_() for tensor in adapters]
    return clipped(torch.autograd.grad(row_losses(leaves, ids, targets).sum(), leaves))


def by_vmap():
    def loss(adapters, ids, targets):
        return row_losses(adapters, ids[None], targets[None])[0]

    leaves = tuple(tensor.detach() for tensor in adapters)
    return clipped(vmap(grad(loss), (None, 0, 0))(leaves, ids, targets))


steps = {"plain": plain, "batch-axis": batch_axis, "vmap": by_vmap}
print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    cpu, wall = time.process_time(), time.perf_counter()
    steps[line.strip()]()
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)
