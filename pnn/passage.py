"""The way through a layer as torch sees it: features -> drives -> answers -> features.

The digital steps are differentiable as they stand. The device is not: its backward pass is
whatever a learning rule puts in the place of the derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from devices import Differentiable
from pnn.encoders import Encoder
from pnn.layer import PhysicalLayer

__all__ = ["Vjp", "drives_of", "features_of", "through", "vjp_of"]

Array = NDArray[Any]

#: Takes drives, answers and the gradient by the answers; returns the gradients by the drives and
#: by the device's parameters (None where they are not trained). For complex answers a gradient is
#: dL/d(re) + i dL/d(im), as torch has it.
Vjp = Callable[[Array, Array, torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]


def drives_of(
    encoder: Encoder, inputs: torch.Tensor, trained: dict[str, torch.Tensor] | None = None
) -> torch.Tensor:
    """Return legal drives, (rows * masks, n_inputs), of a layer's inputs, (rows, features).

    Parameters
    ----------
    encoder : Encoder
        Fitted. Where its map is trained, `trained` holds the tensors ``A`` and ``c`` in its place.
    inputs : torch.Tensor
        A gradient flows back to them, and to `trained`. Where a drive is at the end of its range,
        no gradient pushes it further out; rounding to codes and bits is passed over.
    """
    if not (inputs.requires_grad or trained):
        return torch.from_numpy(encoder.encode(inputs.double().numpy()))
    tensors = trained or {name: torch.from_numpy(a) for name, a in encoder.trained.items()}
    if not tensors:
        A, c = encoder.linear_map()
        tensors = {"A": torch.from_numpy(A), "c": torch.from_numpy(c)}
    unit: torch.Tensor = _Clipped.apply(  # type: ignore[no-untyped-call]
        _channels(encoder, inputs) @ tensors["A"].double() + tensors["c"]
    )
    if encoder.masks > 1:
        masks = torch.from_numpy(encoder.masks_)
        unit = torch.where(masks, 1 - unit[:, None], unit[:, None]).flatten(0, 1)
    coded: torch.Tensor = _Coded.apply(unit, encoder)  # type: ignore[no-untyped-call]
    return coded


def through(
    layer: PhysicalLayer, drives: torch.Tensor, vjp: Vjp, parameters: torch.Tensor | None = None
) -> torch.Tensor:
    """Measure training drives; the backward pass is `vjp`, not the device."""
    answers: torch.Tensor = _Answered.apply(drives, parameters, layer, vjp)  # type: ignore[no-untyped-call]
    return answers


def features_of(layer: PhysicalLayer, answers: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Return scaled features, (rows, n_features), as `PhysicalLayer.raw` and `scaled` do."""
    blocks = [answers.reshape(len(inputs), -1)]
    if answers.is_complex():
        blocks = [blocks[0].real, blocks[0].imag]
    if layer.skip:
        blocks.append(_channels(layer.encoder, inputs))
    raw = torch.cat([block.float() for block in blocks], dim=1)
    mean, scale = torch.from_numpy(layer.mean_), torch.from_numpy(layer.scale_)
    return layer.aligned((raw - mean) * scale)


def vjp_of(
    model: Differentiable, drives: Array, grad: torch.Tensor, parameters: Array | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return (dD/du)^T dL/dy of a model D at the drives u, and the same by its parameters."""
    forward: Any = model.forward
    at = [torch.from_numpy(drives).requires_grad_()]
    if parameters is not None:
        at.append(torch.from_numpy(parameters).requires_grad_())
    with torch.enable_grad():
        modelled = forward(*at)
        found = torch.autograd.grad(
            modelled, at, grad.to(modelled.dtype), allow_unused=True, materialize_grads=True
        )
    return found[0], found[1] if len(found) > 1 else None


def _channels(encoder: Encoder, inputs: torch.Tensor) -> torch.Tensor:
    """Return the scaled features, as `Encoder.channels` does without labels."""
    low, span = (torch.from_numpy(np.asarray(a)) for a in (encoder.low_, encoder.span_))
    return ((inputs - low) / span).clamp(0.0, 1.0)


class _Clipped(torch.autograd.Function):
    """Clip to the unit interval; a gradient that leads back inside is let through."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(values)
        return values.clamp(0.0, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (values,) = ctx.saved_tensors
        # A step goes against the gradient.
        outwards = ((values < 0) & (grad > 0)) | ((values > 1) & (grad < 0))
        return grad.masked_fill(outwards, 0.0)


class _Coded(torch.autograd.Function):
    """The unit interval to legal drives; the derivative is the span of the drive."""

    @staticmethod
    def forward(ctx: Any, unit: torch.Tensor, encoder: Encoder) -> torch.Tensor:
        ctx.span = torch.from_numpy(np.array(encoder.span))
        return torch.from_numpy(encoder.code(unit.numpy()))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad * ctx.span, None


class _Answered(torch.autograd.Function):
    """The device: a measurement forward, the rule's substitute of its derivative backward."""

    @staticmethod
    def forward(
        ctx: Any,
        drives: torch.Tensor,
        parameters: torch.Tensor | None,
        layer: PhysicalLayer,
        vjp: Vjp,
    ) -> torch.Tensor:
        rows = drives.numpy()
        answers = layer.ask(rows, "train")
        ctx.rows, ctx.answers, ctx.vjp = rows, answers, vjp
        return torch.from_numpy(answers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        by_drives, by_parameters = ctx.vjp(ctx.rows, ctx.answers, grad)
        return by_drives, by_parameters, None, None
