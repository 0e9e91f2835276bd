"""A small attention network for sentences: every token looks at all that are no padding."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Attention and a layer beside it, each normalised before and added after."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Token vectors (B, T, width), and whether there is a token (B, T)."""
        by_head = self.query_key_value(self.norm1(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = by_head.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
        scores = scores.masked_fill(~there[:, None, None, :], -1e9)
        mixed = (scores.softmax(3) @ value).transpose(1, 2).flatten(2)
        x = x + self.drop(self.mix(mixed))
        return x + self.drop(self.down(functional.gelu(self.up(self.norm2(x)))))


class Attention(nn.Module):
    """Tokens and their places, blocks, and the mean over a sentence's tokens."""

    def __init__(
        self,
        vocabulary: int,
        length: int,
        padding: int,
        classes: int,
        width: int,
        blocks: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.tokens = nn.Embedding(vocabulary, width, padding_idx=padding)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        there = ids != self.padding
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x, there)
        weight = there.unsqueeze(2) / there.sum(1).clamp(min=1)[:, None, None]
        return cast(Tensor, self.head((self.norm(x) * weight).sum(1)))


def make(
    vocabulary: int,
    features: int,
    padding: int,
    classes: int,
    width: int = 64,
    blocks: int = 2,
    heads: int = 2,
    dropout: float = 0.1,
) -> nn.Module:
    """The network for sentences of at most `features` tokens."""
    return Attention(vocabulary, features, padding, classes, width, blocks, heads, dropout)
