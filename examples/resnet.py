"""A small residual network for images of any size, normalised by GroupNorm, which DP allows."""

from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, into: int, out: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(groups, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, out)
        self.shortcut = nn.Conv2d(into, out, 1, stride, bias=False) if into != out else None

    def forward(self, x: Tensor) -> Tensor:
        beside: Tensor = x if self.shortcut is None else self.shortcut(x)
        hidden = self.norm1(self.conv1(x)).relu()
        hidden = self.norm2(self.conv2(hidden))
        return (hidden + beside).relu()


class ResNet(nn.Module):
    """A convolution, three stages of blocks, and the mean over all positions."""

    def __init__(
        self, shape: tuple[int, int, int], classes: int, width: int, blocks: int, groups: int
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(groups, width)
        into, layers = width, []
        for stage in range(3):
            out = width << stage
            for number in range(blocks):
                layers.append(Block(into, out, 2 if stage and not number else 1, groups))
                into = out
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Linear(into, classes)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.blocks(self.norm(self.first(x)).relu())
        logits: Tensor = self.head(hidden.mean((2, 3)))
        return logits


def make(
    shape: tuple[int, int, int], classes: int, width: int = 16, blocks: int = 1, groups: int = 4
) -> nn.Module:
    """The network for images of this shape (channels, rows, columns)."""
    return ResNet(shape, classes, width, blocks, groups)
