"""Draw, render and train with one method at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whet.core.audio_view import AudioView
from whet.core.batch import Batch, Progress
from whet.core.rng import Rng
from whet.core.view import ImageView
from whet.models.net import Net, NetSpec
from whet.render import CpuRenderer, shrink, shrink_factors
from whet.render.audio import AudioRenderer
from whet.tasks import SINGLE_LABEL


@pytest.fixture
def draw():
    """draw(method, B, source, size): the view that a method draws for B samples of one source size."""

    def drawn(method, B=4000, source=(96, 128), size=(96, 128), seed=0, fit="squash"):
        view = ImageView.whole([source] * B, size, fit)
        return method.draw(view, Rng(seed).batch(method.name, 0, np.arange(B)))

    return drawn


@pytest.fixture
def render():
    """render(view, pixels): sample 0 of the view."""

    def rendered(view, pixels):
        out = np.empty((*view.size, 3), dtype=np.uint8)
        CpuRenderer(view).render(0, shrink(pixels, pixels.shape[:2], shrink_factors(view)[0]), out)
        return out

    return rendered


@pytest.fixture
def one():
    """one(pixels): the empty view of one image at its own size."""
    return lambda pixels: ImageView.whole([pixels.shape[:2]], pixels.shape[:2])


RATE = 16000


@pytest.fixture
def draw_audio():
    """draw_audio(method, B, length, samples): the view that a method draws for B audio clips of one length, at 16 kHz."""

    def drawn(method, B=4000, length=16000, samples=16000, seed=0):
        view = AudioView.whole(np.full(B, length), RATE, samples)
        return method.draw(view, Rng(seed).batch(method.name, 0, np.arange(B)))

    return drawn


@pytest.fixture
def hear():
    """hear(view, wave, i): sample i of the view, rendered."""

    def heard(view, wave, i=0):
        out = np.empty(view.samples, dtype=np.float32)
        AudioRenderer(view).render(i, wave, out)
        return out

    return heard


@pytest.fixture
def audio():
    """audio clip(wave, samples): the empty view of one audio clip at 16 kHz."""
    return lambda wave, samples=None: AudioView.whole([len(wave)], RATE, samples or len(wave))


@pytest.fixture
def tone():
    """tone(hertz, seconds): a sine of amplitude 0.5 at 16 kHz."""
    return lambda hertz=440.0, seconds=1.0: (
        0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    ).astype(np.float32)


@pytest.fixture
def hiss():
    """hiss(seconds): normal noise of deviation 0.1 at 16 kHz."""
    return lambda seconds=1.0, seed=0: (
        0.1 * Rng(seed).batch("hiss", 0, np.arange(1)).normal((round(seconds * RATE),))[0]
    ).astype(np.float32)


@pytest.fixture
def pitch():
    """pitch(wave): where its spectrum is highest, Hz, by the parabola through the peak."""

    def measured(wave):
        size = np.log(np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) + 1e-12)
        k = int(size.argmax())
        a, b, c = size[k - 1 : k + 2]
        return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE / len(wave)

    return measured


@pytest.fixture
def spectrograms():
    """spectrograms(B, frames, mels): distinct numbers, float (B, 1, frames, mels)."""
    golden = (5**0.5 - 1) / 2
    return lambda B=64, frames=100, mels=64: (
        (torch.arange(B * frames * mels, dtype=torch.float64) * golden % 1).float().view(B, 1, frames, mels)
    )


@pytest.fixture
def batch():
    """batch(B, K): a batch of distinct images with certain targets."""

    def made(B=8, K=4, size=(12, 16)):
        pixels = Rng(3).batch("x", 0, np.arange(B)).normal((3, *size))
        targets = SINGLE_LABEL.targets(torch.arange(B) % K, K)
        return Batch(torch.from_numpy(pixels).float(), targets, np.arange(B), torch.ones(B))

    return made


@pytest.fixture
def masked():
    """masked(logits, label, step): the outcome for logits (B, K, h, w) and masks (B, H, W), at this step of 100."""
    from whet.core.batch import Outcome
    from whet.core.mask_targets import MaskTargets
    from whet.tasks import SEMANTIC_SEGMENTATION

    def made(logits, label, step=0):
        targets = MaskTargets.of(label.to(torch.uint8), SEMANTIC_SEGMENTATION, logits.shape[1])
        B = len(label)
        batch = Batch(torch.zeros(B, 1), targets, np.arange(B), torch.ones(B))
        return Outcome(logits, batch, None, None, Progress(step, 100, 10))

    return made


@pytest.fixture
def pixels():
    """pixels(): (logits float64 (2, 3, 6, 8), labels int64 (2, 6, 8) with a row of ignored pixels)."""

    def made(size=(6, 8)):
        draws = Rng(4).batch("pixels", 0, np.arange(2))
        logits, label = 2 * draws.normal((3, *size)), (3 * draws.uniform(shape=size)).astype(np.int64)
        label[:, 0] = 255
        return torch.from_numpy(logits), torch.from_numpy(label)

    return made


@pytest.fixture
def progress():
    return lambda step, total=100, per_epoch=10: Progress(step, total, per_epoch)


@pytest.fixture
def descend():
    """descend(optimizer_method, weight, gradient_of, steps): the weight after so many steps with the method's optimizer."""

    def descended(method, start, gradient_of, steps, decay=True):
        weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        optimizer = method.optimizer([{"params": [weight], "lr_scale": 1.0, "decay": decay}], None)
        for _ in range(steps):
            weight.grad = gradient_of(weight.detach())
            optimizer.step()
        return weight.detach().numpy()

    return descended


class Regression:
    """Softmax regression on fixed features, float64, all samples in one batch: a convex problem whose network is a head alone."""

    def __init__(self, N=60, l2=0.0, scales=(1.0,) * 5, backbone=None):
        rng, D, K = Rng(11).batch("regression", 0, np.arange(N)), len(scales), 3
        features_ND = rng.normal((D,))
        logits_NK = 1.5 * features_ND @ Rng(12).batch("truth", 0, np.arange(D)).normal((K,))
        self.label_N = torch.from_numpy((logits_NK - np.log(-np.log(rng.uniform(shape=(K,))))).argmax(axis=1))
        self.x_ND = torch.from_numpy(features_ND * np.array(scales))
        with Rng(13).torch_scope("init"):
            backbone = torch.nn.Identity() if backbone is None else backbone()
            width = backbone(self.x_ND.float()).shape[1]
            spec = NetSpec("zoo", "bench", ("a", "b", "c"), (0.5,) * 3, (0.25,) * 3)
            self.net = Net(spec, backbone, torch.nn.Linear(width, K)).double()
        self.l2 = l2

    def loss(self):
        penalty = sum(p.square().sum() for p in self.net.parameters() if p.ndim > 1)
        return torch.nn.functional.cross_entropy(self.net(self.x_ND), self.label_N) + self.l2 / 2 * penalty

    def optimizer(self, method):
        groups = [{"params": [p], "lr_scale": 1.0, "decay": p.ndim > 1} for p in self.net.parameters()]
        return method.optimizer(groups, self.net)

    def closure(self, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss.detach()

        return closure

    def train(self, method, steps):
        """The loss after so many steps, each with torch's draws keyed as in training."""
        optimizer = self.optimizer(method)
        for step in range(steps):
            with Rng(0).torch_scope("step", step):
                optimizer.step(self.closure(optimizer))
        return float(self.loss().detach())

    def best_loss(self):
        """Where scikit-learn ends."""
        from sklearn.linear_model import LogisticRegression

        N = len(self.x_ND)
        found = LogisticRegression(C=1 / (N * self.l2), solver="newton-cholesky", tol=1e-8).fit(
            self.x_ND.numpy(), self.label_N.numpy()
        )
        scores_NK = self.x_ND.numpy() @ found.coef_.T + found.intercept_
        logs_NK = scores_NK - np.log(np.exp(scores_NK).sum(axis=1, keepdims=True))
        return -logs_NK[np.arange(N), self.label_N].mean() + self.l2 / 2 * (found.coef_**2).sum()


@pytest.fixture
def regression():
    """regression(N, l2, scales, backbone): see Regression."""
    return Regression


@pytest.fixture
def rates_of_torch():
    """rates_of_torch(make, steps): the rates that a scheduler of torch sets step by step, from a base rate of 1."""

    def rates(make, steps):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler, found = make(optimizer), []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    return rates


@pytest.fixture
def line():
    """line(loss, counts): (slope, intercept) of the log-odds of class 1 that minimise the loss of a linear model, on so many
    samples each of two Gaussians of unit variance about -1 and +1. Bayes' rule for even classes has slope 2 and intercept 0."""
    from scipy.stats import norm

    from whet.core.batch import Outcome

    def fitted(loss, counts):
        x = np.concatenate([norm.ppf((np.arange(n) + 0.5) / n) + mean for n, mean in zip(counts, (-1.0, 1.0))])
        targets = SINGLE_LABEL.targets(torch.from_numpy(np.repeat([0, 1], counts)), 2)
        x_N1, N = torch.from_numpy(x)[:, None], len(x)
        given = Batch(x_N1, targets, np.arange(N), torch.ones(N))
        weight = torch.zeros((2, 2), dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS([weight], max_iter=300, tolerance_change=1e-14, line_search_fn="strong_wolfe")

        def closure():
            solver.zero_grad()
            value = loss(Outcome(x_N1 * weight[0] + weight[1], given, None)).mean()
            value.backward()
            return value

        solver.step(closure)
        slope, intercept = (weight[:, 1] - weight[:, 0]).tolist()
        return slope, intercept

    return fitted


@pytest.fixture
def teacher_run(tmp_path):
    """teacher_run(classes, mean, std): the folder of a finished run whose network is small and has fixed weights."""
    from whet.core.run_folder import RunFolder
    from whet.models.build import save_net
    from whet.models.net import Net, NetSpec, new_head
    from whet.models.zoo import ZOO

    def made(classes=("paper", "glass", "metal"), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), seed=0, name="teacher"):
        with Rng(seed).torch_scope("teacher"):
            backbone, features = ZOO["resnet9_slim"]()
            net = Net(NetSpec("zoo", "resnet9_slim", classes, mean, std), backbone, new_head(features, len(classes)))
            torch.nn.init.normal_(net.head.weight)
        folder = RunFolder(tmp_path / name)
        save_net(net.eval(), folder.model, {"precision": "fp32"})
        folder.done.touch()
        return str(folder.path)

    return made
