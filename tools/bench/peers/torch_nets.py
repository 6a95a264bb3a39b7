"""The workloads as PyTorch modules. Each has code(x) -> mean, log variance; decode(z) -> what the likelihood takes;
nll(raw, x), summed over everything; and seen(raw), the reconstruction. x is [B, C, H, W]."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Vae(nn.Module):
    """Bernoulli on logits; others say otherwise."""

    beta = 1.0

    def code(self, x):
        h = self.encoder(x)
        return self.mean(h), self.log_var(h)

    def decode(self, z):
        return self.decoder(z)

    def nll(self, raw, x):
        return F.binary_cross_entropy_with_logits(raw, x, reduction="sum")

    def seen(self, raw):
        return torch.sigmoid(raw)

    def loss(self, x):
        """Negative elbo, summed over the rows [nats]; the KL counts `beta` times."""
        mean, log_var = self.code(x)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        mean, log_var = mean.float(), log_var.float()
        kl = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        return self.nll(self.decode(z).float(), x) + self.beta * kl

    def reconstruct(self, x):
        return self.seen(self.decode(self.code(x)[0]))

    def latent(self, features, latent):
        self.mean, self.log_var = nn.Linear(features, latent), nn.Linear(features, latent)


class MlpVae(Vae):
    def __init__(self, hidden, latent, values=784):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), *self.layers((values, *hidden)))
        self.latent(hidden[-1], latent)
        back = (latent, *reversed(hidden))
        self.decoder = nn.Sequential(*self.layers(back), nn.Linear(back[-1], values), nn.Unflatten(1, (1, 28, 28)))

    @staticmethod
    def layers(widths):
        return [layer for i, o in zip(widths, widths[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]


class ConvVae(Vae):
    def __init__(self, latent=32):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.latent(64 * 49, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 64 * 49), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1))


class DeepConvVae(Vae):
    """The "vanilla VAE" of PyTorch-VAE."""

    def __init__(self, latent=128, widths=(32, 64, 128, 256, 512)):
        super().__init__()
        down = [self.layer(nn.Conv2d(i, o, 3, 2, 1), o) for i, o in zip((3, *widths), widths)]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.latent(4 * widths[-1], latent)
        back = (*reversed(widths), widths[0])
        up = [self.layer(nn.ConvTranspose2d(i, o, 3, 2, 1, output_padding=1), o) for i, o in zip(back, back[1:])]
        self.decoder = nn.Sequential(nn.Linear(latent, 4 * widths[-1]), nn.Unflatten(1, (widths[-1], 2, 2)), *up,
                                     nn.Conv2d(widths[0], 3, 3, 1, 1), nn.Tanh())

    @staticmethod
    def layer(conv, channels):
        return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.LeakyReLU())

    def nll(self, raw, x):
        return F.mse_loss(raw, x, reduction="sum")

    def seen(self, raw):
        return raw


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU(),
                                 nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width))

    def forward(self, x):
        return F.relu(x + self.net(x))


class ResidualVae(Vae):
    def __init__(self, latent=128, widths=(64, 128, 256), blocks=2):
        super().__init__()
        stage = lambda w: [Block(w) for _ in range(blocks)]
        down, up, back = [nn.Conv2d(3, widths[0], 3, 1, 1), *stage(widths[0])], stage(widths[-1]), widths[::-1]
        for i, o in zip(widths, widths[1:]):
            down += [nn.Conv2d(i, o, 3, 2, 1), *stage(o)]
        for i, o in zip(back, back[1:]):
            up += [nn.ConvTranspose2d(i, o, 4, 2, 1), *stage(o)]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.latent(64 * widths[-1], latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 64 * widths[-1]), nn.Unflatten(1, (widths[-1], 8, 8)), *up,
                                     nn.Conv2d(widths[0], 3, 3, 1, 1))

    def nll(self, raw, x):  # of a Gaussian of variance 1, but for its constant
        return 0.5 * F.mse_loss(raw, x, reduction="sum")

    def seen(self, raw):
        return raw


class Draw(nn.Module):
    """Without attention: ten steps of two LSTMs."""

    def __init__(self, steps=10, width=256, latent=10, values=784):
        super().__init__()
        self.steps, self.width, self.values = steps, width, values
        self.reader, self.writer = nn.LSTMCell(2 * values + width, width), nn.LSTMCell(latent, width)
        self.mean, self.log_var, self.canvas = (nn.Linear(width, latent), nn.Linear(width, latent), nn.Linear(width, values))

    def loss(self, x):
        x = x.flatten(1)
        canvas, total = x.new_zeros(len(x), self.values), 0
        h = c = told = memory = x.new_zeros(len(x), self.width)
        for _ in range(self.steps):
            h, c = self.reader(torch.cat([x, x - torch.sigmoid(canvas), told], 1), (h, c))
            mean, log_var = self.mean(h), self.log_var(h)
            total = total - 0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
            told, memory = self.writer(z, (told, memory))
            canvas = canvas + self.canvas(told)
        return total + F.binary_cross_entropy_with_logits(canvas, x, reduction="sum")


class SentenceVae(Vae):
    """Bowman et al. 2016, with nn.GRU both ways; x is [B, T] of tokens."""

    def __init__(self, tokens, embedding=128, width=256, latent=32):
        super().__init__()
        self.read_words, self.write_words = nn.Embedding(tokens, embedding), nn.Embedding(tokens, embedding)
        self.reader, self.writer = (nn.GRU(embedding, width, batch_first=True) for _ in range(2))
        self.latent(width, latent)
        self.start, self.logits = nn.Linear(latent, width), nn.Linear(width, tokens)

    def encoder(self, x):
        return self.reader(self.read_words(x))[1][0]

    def loss(self, x):
        mean, log_var = self.code(x)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
        before = F.pad(self.write_words(x[:, :-1]), (0, 0, 1, 0))
        out, _ = self.writer(before, torch.tanh(self.start(z))[None])
        kl = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        return F.cross_entropy(self.logits(out).flatten(0, 1), x.flatten(), reduction="sum") + kl


class MultVae(Vae):
    """Mult-VAE (Liang et al. 2018) on the numbers of what a user rated: the first layer is an embedding bag."""

    beta = 0.2

    def __init__(self, values=20108, hidden=600, latent=200):
        super().__init__()
        self.bag, self.bias = nn.EmbeddingBag(values, hidden, mode="sum"), nn.Parameter(torch.zeros(hidden))
        self.latent(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, values))

    def code(self, ids):
        weights = F.dropout(torch.full(ids.shape, ids.shape[1] ** -0.5), 0.5, self.training)
        h = torch.tanh(self.bag(ids, per_sample_weights=weights) + self.bias)
        return self.mean(h), self.log_var(h)

    def nll(self, raw, ids):
        return -torch.log_softmax(raw, 1).gather(1, ids).sum()

    def seen(self, raw):
        return torch.softmax(raw, 1)


NETS = {"mlp_vae": lambda: MlpVae((400,), 20), "deep_mlp_vae": lambda: MlpVae((512, 512), 32), "conv_vae": ConvVae,
        "deep_conv_vae": DeepConvVae, "residual_vae": ResidualVae, "draw": Draw,
        "sentence_vae": lambda: SentenceVae(100), "sentence_vae_10k": lambda: SentenceVae(10000),
        "mult_vae": MultVae}
