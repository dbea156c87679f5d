"""A physical layer: encoder -> device -> readout."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from calibration import AffineMap
from devices import Device, Programmable, Purpose, programmable_of, row_context
from pnn.encoders import Encoder, make_encoder

__all__ = ["PhysicalLayer", "PhysicalNetwork"]

Array = NDArray[np.float64]
Weights = dict[str, torch.Tensor]
Progress = Callable[[int, int], None]
Tap = Callable[[Array, NDArray[Any]], None]
#: Is given a layer, the drives of training rows, and their answers.
Seen = Callable[["PhysicalLayer", Array, NDArray[Any]], None]

#: Samples per call of the device, so that answers do not pile up in double precision.
CHUNK = 2048

#: Training answers that a layer keeps, for the control ``shuffled``.
SAMPLE = 256


class PhysicalLayer:
    """A device with the digital parts before and after it.

    The features that the readout sees are the measured answers (real and imaginary parts of
    complex ones), standardised by the statistics of the training rows and divided by the square
    root of their number, so that their length is about 1 whatever the device's units are.

    Parameters
    ----------
    device : Device
        The black box. One device may serve several layers in turn.
    encoder : str or Encoder
        ``"auto"`` takes the encoder of the device's domain.
    width : int
        Number of readout outputs, h = W f + b, that are handed on to the next layer.
    skip : bool
        Whether the layer's scaled input goes around the device and joins the features. Off by
        default: a digital skip can do the work alone, and then the device adds nothing.
    **encoder_options
        Arguments of the encoder, where `encoder` is a name.

    Attributes
    ----------
    weights : dict of str to torch.Tensor
        The readout's parameters; what there is depends on the rule.
    trains_parameters : bool
        Whether the device's own parameters are trained as well, hence part of the state.
    affine : AffineMap
        The affine map that fits the training rows best, for the control ``affine``.
    sample : ndarray of shape (rows, n_outputs)
        The first training answers, for the control ``shuffled``.
    tap : callable or None
        Is shown the drives and answers of training rows, such as for fitting a twin.
    seen : callable or None
        Is shown the same and the layer, such as for mending it after drift.
    alignment : (torch.Tensor, torch.Tensor) or None
        A, (n, n), and c, (n,): features of a device that has drifted, ``f A + c``, are as they
        were when the weights were learned. It stands for what changed in the device, and does not
        go back with the weights.
    index : int
        Place in the network, from 0; rows are recorded with it.
    """

    def __init__(
        self,
        device: Device,
        encoder: str | Encoder = "auto",
        *,
        width: int = 256,
        skip: bool = False,
        **encoder_options: Any,
    ) -> None:
        if width < 1:
            raise ValueError(f"width={width!r} must be at least 1")
        if isinstance(encoder, str):
            encoder = make_encoder(encoder, device.spec, **encoder_options)
        elif encoder_options:
            raise ValueError(f"{sorted(encoder_options)} come with a made encoder; set them there")
        self.device, self.encoder, self.width, self.skip = device, encoder, width, skip
        self.weights: Weights = {}
        self.trains_parameters = False
        self.affine = AffineMap(device.spec.n_inputs, device.spec.n_outputs)
        self.sample = np.empty((0, device.spec.n_outputs), device.spec.output_dtype)
        self.tap: Tap | None = None
        self.seen: Seen | None = None
        self.alignment: tuple[torch.Tensor, torch.Tensor] | None = None
        self.index = 0

    def untrained(self) -> PhysicalLayer:
        """Return a layer like this one that has learned nothing, around the same device."""
        return PhysicalLayer(
            self.device, copy.deepcopy(self.encoder), width=self.width, skip=self.skip
        )

    @property
    def n_features(self) -> int:
        """Width of what the readout sees."""
        return self.n_measured + self._n_skipped

    @property
    def n_measured(self) -> int:
        """How many of the features are measured, and do not skip the device; the first ones."""
        answers = self.device.spec.n_outputs * self.encoder.masks
        return answers * (2 if self.device.spec.is_complex else 1)

    @property
    def _n_skipped(self) -> int:
        return len(self.encoder.low_) + self.encoder.n_labels if self.skip else 0

    def fit_encoder(self, inputs: Array, n_labels: int = 0) -> Self:
        """Learn the encoder from training inputs, (rows, features)."""
        self.encoder.fit(inputs, self.device.spec, n_labels)
        return self

    def raw(
        self,
        inputs: Array,
        labels: NDArray[np.int64] | None = None,
        *,
        purpose: Purpose,
        progress: Progress = lambda done, total: None,
    ) -> NDArray[np.float32]:
        """Encode, drive and measure; return unscaled features, (rows, n_features).

        `progress` is called with (rows done, rows) as it goes.
        """
        features = np.empty((len(inputs), self.n_features), np.float32)
        for start in range(0, len(inputs), CHUNK):
            part = slice(start, min(start + CHUNK, len(inputs)))
            hypotheses = None if labels is None else labels[part]
            drives = self.encoder.encode(inputs[part], hypotheses)
            answers = self.ask(drives, purpose)
            blocks = self.columns(answers)
            if self.skip:
                blocks.append(self.encoder.channels(inputs[part], hypotheses))
            np.concatenate(blocks, axis=1, out=features[part], casting="same_kind")
            progress(part.stop, len(inputs))
        return features

    def columns(self, answers: NDArray[Any]) -> list[NDArray[Any]]:
        """Return answers, those of all masks, as blocks of real columns, each a row per input."""
        whole = answers.reshape(len(answers) // self.encoder.masks, -1)
        return [whole.real, whole.imag] if np.iscomplexobj(whole) else [whole]

    def ask(self, drives: Array, purpose: Purpose) -> NDArray[Any]:
        """Drive legal rows, (rows, n_inputs), and return their answers, (rows, n_outputs).

        Training rows are looked at by the way, which costs no queries: they go into `affine` and
        `sample`, which controls need, and to the `tap`.
        """
        with row_context(layer=self.index):
            answers = self.device.measure(drives, purpose=purpose)
        if purpose == "train":
            self.affine.update(drives, answers)
            if not len(self.sample):
                self.sample = answers[:SAMPLE].copy()
            if self.tap is not None:
                self.tap(drives, answers)
            if self.seen is not None:
                self.seen(self, drives, answers)
        return answers

    def fit_scaling(self, features: NDArray[np.float32]) -> Self:
        """Learn mean and scale of the features from training rows."""
        mean = features.mean(axis=0, dtype=np.float64)
        std = features.std(axis=0, dtype=np.float64)
        # An output that never moves carries nothing: leave it at zero instead of blowing it up.
        # Small is what is small beside its like: answers may be in amperes, the skip is not.
        size, n_answers = np.maximum(std, np.abs(mean)), std.size - self._n_skipped
        answers, skipped = size[:n_answers].max(initial=0.0), size[n_answers:].max(initial=0.0)
        silent = std <= 1e-6 * np.where(np.arange(std.size) < n_answers, answers, skipped)
        scale = np.where(silent, 0.0, 1.0 / np.where(silent, 1.0, std)) / np.sqrt(std.size)
        self.mean_, self.scale_ = mean.astype(np.float32), scale.astype(np.float32)
        return self

    def scaled(self, features: NDArray[np.float32]) -> torch.Tensor:
        """Standardise raw features in place and return them as a tensor, aligned."""
        features -= self.mean_
        features *= self.scale_
        return self.aligned(torch.from_numpy(features))

    def aligned(self, features: torch.Tensor) -> torch.Tensor:
        """Return scaled features as they were before the device drifted; what skips it stays."""
        if self.alignment is None:
            return features
        A, c = self.alignment
        return torch.cat([features[:, : len(c)] @ A + c, features[:, len(c) :]], dim=1)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return a copy of what training changes, as arrays with names like ``weights.W``."""
        arrays = {f"weights.{k}": v.detach().numpy().copy() for k, v in self.weights.items()}
        arrays |= {f"encoder.trained.{k}": v.copy() for k, v in self.encoder.trained.items()}
        if self.trains_parameters:
            arrays["parameters"] = self.programmable.parameters
        return arrays

    def go_back(self, snapshot: dict[str, NDArray[Any]]) -> None:
        """Take over what `snapshot` returned."""
        self.weights = {k: torch.from_numpy(v) for k, v in _under(snapshot, "weights").items()}
        self.encoder.trained = _under(snapshot, "encoder.trained")
        if "parameters" in snapshot:
            self.trains_parameters = True
            self.programmable.program(snapshot["parameters"])

    @property
    def programmable(self) -> Programmable:
        """The device with its parameters.

        Raises
        ------
        ValueError
            If the device has none that can be set.
        """
        found = programmable_of(self.device)
        if found is None:
            raise ValueError(
                f"{self.device.spec.name} has no parameters inside that could be trained; train "
                "the encoder or the readout, or take a programmable device"
            )
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything learned, as arrays with names like ``encoder.low``."""
        arrays = {f"encoder.{key}": value for key, value in self.encoder.state().items()}
        if self.alignment is not None:
            A, c = self.alignment
            arrays |= {"alignment.A": A.numpy(), "alignment.c": c.numpy()}
        return arrays | {"mean": self.mean_, "scale": self.scale_} | self.snapshot()

    def restore(self, state: dict[str, NDArray[Any]], n_labels: int) -> Self:
        """Take over what `state` returned."""
        self.encoder.restore(_under(state, "encoder"), self.device.spec, n_labels)
        self.mean_, self.scale_ = state["mean"], state["scale"]
        if "alignment.A" in state:
            A, c = (torch.from_numpy(state[f"alignment.{name}"]) for name in "Ac")
            self.alignment = A, c
        self.go_back(state)
        return self


class PhysicalNetwork:
    """Physical layers in a row; what one hands on is the input of the next.

    Parameters
    ----------
    layers : sequence of PhysicalLayer
        At least one.
    """

    def __init__(self, layers: list[PhysicalLayer]) -> None:
        if not layers:
            raise ValueError("a network needs at least one layer")
        self.layers = list(layers)
        for i, layer in enumerate(self.layers):
            layer.index = i

    @property
    def devices(self) -> list[Device]:
        """The devices, each once."""
        return list({id(layer.device): layer.device for layer in self.layers}.values())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything learned by the layers that are trained so far."""
        return {
            f"layer{i}.{key}": value
            for i, layer in enumerate(self.layers)
            if hasattr(layer, "mean_")
            for key, value in layer.state().items()
        }

    def restore(self, state: dict[str, NDArray[Any]], n_labels: int) -> Self:
        """Take over what `state` returned; only the first layer has label channels.

        Layers that the state lacks, as that of an interrupted training may, are left out; a
        warning says so.
        """
        trained = [la for i, la in enumerate(self.layers) if f"layer{i}.mean" in state]
        if len(trained) < len(self.layers):
            warnings.warn(
                f"only {len(trained)} of {len(self.layers)} layers were trained when this state "
                "was kept; the network is these alone",
                stacklevel=2,
            )
            self.layers = trained
        for i, layer in enumerate(self.layers):
            layer.restore(_under(state, f"layer{i}"), n_labels if i == 0 else 0)
        return self


def _under(state: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    start = prefix + "."
    return {key.removeprefix(start): v for key, v in state.items() if key.startswith(start)}
