import torch
import torch.nn.functional as F

from whet.core.rng import Rng
from whet.methods import SGD, Sophia


def test_the_paper_s_update_step_by_step(regression):
    """Algorithm 3 of Liu et al. with the Gauss-Newton-Bartlett estimator (algorithm 2) every other step."""
    problem = regression()
    x, label, N = problem.x_ND, problem.label_N, len(problem.x_ND)
    W, b = (p.detach().clone() for p in problem.net.parameters())
    W = torch.cat([W, b[:, None]], dim=1)
    X = torch.cat([x, torch.ones(N, 1, dtype=x.dtype)], dim=1)
    m, h, lr, b1, b2, rho, decay = torch.zeros_like(W), torch.zeros_like(W), 0.05, 0.9, 0.8, 0.1, 0.3
    cut = 0
    for step in range(6):
        probs = (X @ W.T).softmax(dim=1)
        if step % 2 == 0:
            with Rng(0).torch_scope("step", step):
                sampled = torch.multinomial(probs, 1).squeeze(1)
            g = (probs - F.one_hot(sampled, 3)).T @ X / N
            h = b2 * h + (1 - b2) * N * g * g
        g = (probs - F.one_hot(label, 3)).T @ X / N
        m = b1 * m + (1 - b1) * g
        ratio = m / (rho * h).clamp(min=1e-12)
        cut += int((ratio.abs() > 1).sum())
        shrink = torch.full_like(W, 1 - lr * decay)
        shrink[:, -1] = 1
        W = shrink * W - lr * ratio.clamp(-1, 1)
    assert 0 < cut < 6 * W.numel()
    problem.train(Sophia(lr=lr, beta1=b1, beta2=b2, rho=rho, every=2, weight_decay=decay), 6)
    assert torch.allclose(problem.net.head.weight, W[:, :-1], atol=1e-12)
    assert torch.allclose(problem.net.head.bias, W[:, -1], atol=1e-12)


def test_the_estimate_is_the_diagonal_of_the_gauss_newton_matrix(regression):
    """On average over the drawn labels: sum over samples of p (1 - p) x^2 / N for softmax regression."""
    problem = regression()
    x, N = problem.x_ND, len(problem.x_ND)
    with torch.no_grad():
        probs = problem.net(x).softmax(dim=1)
    exact = (probs * (1 - probs)).T @ x.square() / N
    optimizer = problem.optimizer(Sophia(beta2=0.0))
    total = torch.zeros_like(exact)
    for draw in range(400):
        with Rng(1).torch_scope("draw", draw), torch.no_grad():
            optimizer._update_curvature(problem.closure(optimizer))
        total += optimizer.state[problem.net.head.weight]["curvature"]
    assert torch.allclose(total / 400, exact, rtol=0.35)
    assert (total / 400).sum() / exact.sum() - 1 < 0.1


def test_weights_of_different_curvature_move_alike(regression):
    """Where features differ a hundredfold in scale, gradient descent must crawl."""
    scales = (0.1, 0.3, 1.0, 3.0, 10.0)
    ours = regression(l2=1e-4, scales=scales).train(Sophia(lr=0.1, beta1=0.9, weight_decay=0.0, every=1), 60)
    theirs = min(regression(l2=1e-4, scales=scales).train(SGD(lr=lr), 60) for lr in (1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3))
    assert ours < theirs


def test_the_curvature_does_not_depend_on_the_parts_that_a_batch_passes_in(regression):
    """Labels are drawn part by part, so the mean over many draws is compared with the exact diagonal."""
    problem = regression()
    x, N = problem.x_ND, len(problem.x_ND)
    with torch.no_grad():
        probs = problem.net(x).softmax(dim=1)
    exact = (probs * (1 - probs)).T @ x.square() / N
    optimizer = problem.optimizer(Sophia(beta2=0.0))
    places = torch.arange(N).tensor_split(4)

    def in_parts():
        optimizer.zero_grad()
        for part in places:
            (F.cross_entropy(problem.net(x[part]), problem.label_N[part], reduction="sum") / N).backward()

    total = torch.zeros_like(exact)
    for draw in range(400):
        with Rng(1).torch_scope("draw", draw), torch.no_grad():
            optimizer._update_curvature(torch.enable_grad()(in_parts))
        total += optimizer.state[problem.net.head.weight]["curvature"]
    assert torch.allclose(total / 400, exact, rtol=0.35)
    assert abs((total / 400).sum() / exact.sum() - 1) < 0.1
