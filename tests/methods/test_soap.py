import pytest
import torch
from torch import nn

from whet.core.rng import Rng
from whet.methods import SGD, SOAP, AdamW


def optimizer_of(method, weight):
    return method.optimizer([{"params": [weight], "lr_scale": 1.0, "decay": True}], None)


def gradients(*shape, steps=6):
    with Rng(4).torch_scope("gradients"):
        return [torch.randn(shape, dtype=torch.float64) for _ in range(steps)]


def run(method, start, steps):
    weight = nn.Parameter(start.clone())
    optimizer = optimizer_of(method, weight)
    for gradient in steps:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def reference(start, steps, lr, b1, b2, decay, every):
    """The algorithm of the authors' code (github.com/nikhilvyas/SOAP, without merged dimensions): the momentum lives in the turned
    axes and is turned back while these change; the axes, largest eigenvalue first, are sorted anew before every power iteration,
    and the second moments with them. Weights decay before the step, as ours do."""
    W, n = start.clone(), start.ndim

    def turned(tensor, bases, back=False):
        for axis, basis in enumerate(bases):
            tensor = torch.tensordot(basis if back else basis.T, tensor, dims=([1], [axis])).movedim(0, axis)
        return tensor

    def outer(tensor, axis):
        others = [a for a in range(n) if a != axis]
        return torch.tensordot(tensor, tensor, dims=(others, others))

    grams = [(1 - b2) * outer(steps[0], axis) for axis in range(n)]
    bases = [torch.linalg.eigh(gram).eigenvectors.flip(1) for gram in grams]
    mean, square = torch.zeros_like(W), torch.zeros_like(W)
    for t, G in enumerate(steps[1:], start=1):
        inside = turned(G, bases)
        mean, square = b1 * mean + (1 - b1) * inside, b2 * square + (1 - b2) * inside**2
        direction = (mean / (1 - b1**t)) / ((square / (1 - b2**t)).sqrt() + 1e-8)
        W = W * (1 - lr * decay) - lr * turned(direction, bases, back=True)
        plain = turned(mean, bases, back=True)
        grams = [b2 * gram + (1 - b2) * outer(G, axis) for axis, gram in enumerate(grams)]
        if t % every == 0:
            for axis, gram in enumerate(grams):
                estimate = torch.diag(bases[axis].T @ gram @ bases[axis])
                order = torch.argsort(estimate, descending=True)
                square = square.index_select(axis, order)
                bases[axis] = torch.linalg.qr(gram @ bases[axis][:, order]).Q
        mean = turned(plain, bases)
    return W


@pytest.mark.parametrize("shape", [(3, 4), (4, 3, 2)])
def test_the_authors_algorithm_step_by_step(shape):
    settings = (0.1, 0.8, 0.9, 0.2, 2)
    start, steps = gradients(*shape, steps=1)[0], gradients(*shape, steps=12)
    lr, b1, b2, decay, every = settings
    ours = run(SOAP(lr=lr, beta1=b1, beta2=b2, every=every, weight_decay=decay), start, steps)
    assert torch.allclose(ours, reference(start, steps, *settings), rtol=0, atol=1e-9)


def test_an_embedding_most_of_whose_rows_have_no_gradient_stays_finite():
    """Its Gram matrix has hundreds of equal eigenvalues: in float32 its decomposition fails."""
    with Rng(4).torch_scope("embedding"):
        weight, row_N = nn.Parameter(torch.zeros(800, 64)), torch.randperm(800)[:60]
        optimizer = optimizer_of(SOAP(every=1), weight)
        for _ in range(3):
            weight.grad = torch.zeros(800, 64).index_copy_(0, row_N, 1e-4 * torch.randn(60, 64))
            optimizer.step()
    assert torch.isfinite(weight).all()
    assert weight[row_N].abs().min() > 0


def test_where_nothing_is_turned_it_is_adamw_one_step_late():
    start, steps = gradients(3, 4, steps=1)[0], gradients(3, 4)
    ours = run(SOAP(lr=0.1, beta1=0.8, beta2=0.9, weight_decay=0.2, max_size=1), start, steps)
    theirs = run(AdamW(lr=0.1, beta1=0.8, beta2=0.9, weight_decay=0.2), start, steps[1:])
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_vectors_go_by_adam_without_decay():
    start, steps = gradients(4, steps=1)[0], gradients(4)
    ours = run(SOAP(lr=0.1, beta1=0.8, beta2=0.9, weight_decay=0.2), start, steps)
    theirs = run(AdamW(lr=0.1, beta1=0.8, beta2=0.9, weight_decay=0.0), start, steps)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


def test_it_is_faster_than_adam_and_gradient_descent_along_slanted_axes():
    """|A (W - T) B|^2, A and B of condition number 100 each along directions that are no coordinates."""
    A, B = (
        torch.linalg.qr(gradients(n, n, steps=1)[0]).Q @ torch.logspace(-1, 1, n, dtype=torch.float64).diag()
        for n in (6, 8)
    )
    target = gradients(6, 8, steps=1)[0]

    def end(method):
        weight = nn.Parameter(torch.zeros(6, 8, dtype=torch.float64))
        optimizer = optimizer_of(method, weight)
        for _ in range(300):
            weight.grad = A @ A.T @ (weight.detach() - target) @ B @ B.T
            optimizer.step()
        return float((A.T @ (weight.detach() - target) @ B).square().sum())

    rates = (0.01, 0.03, 0.1, 0.3)
    ours = min(end(SOAP(lr=lr, every=1, weight_decay=0.0)) for lr in rates)
    adam = min(end(AdamW(lr=lr, weight_decay=0.0)) for lr in rates)
    descent = min(end(SGD(lr=lr)) for lr in (3e-6, 1e-5, 3e-5, 1e-4, 2e-4))
    assert ours < 0.2 * min(adam, descent)
