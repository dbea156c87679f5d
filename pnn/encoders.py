"""Encoders: from features to legal drives. The only place that knows the drive format.

An encoder works in four steps, learned from training features alone:

1. *scale*: features to the unit interval, clipped outside of what training showed;
2. *overlay*: for rules that ask "does this label fit?", one more channel per class, 1 for the
   hypothesis and 0 for the others, with a scale that is fixed and never depends on a batch;
3. *width*: padding, or a seeded random projection, where the number of channels is not the
   number of the device's inputs;
4. *code*: the unit interval to the device's limits, as its domain asks.

With ``masks=K`` every sample is sent K times, each time with another fixed random half of its
channels inverted (v -> 1 - v); the answers are concatenated (mask multiplexing).
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from devices import DeviceSpec
from pnn.convolution import local_filters, side_of

__all__ = [
    "ENCODERS",
    "AmplitudeEncoder",
    "BitsEncoder",
    "CodesEncoder",
    "Encoder",
    "PhaseEncoder",
    "TonesEncoder",
    "WidthWarning",
    "make_encoder",
]

Array = NDArray[np.float64]

#: Standard deviations from the mean that "sigma" scaling and projections map inside the limits.
SIGMAS = 3.0


class WidthWarning(UserWarning):
    """Features had to be squeezed into fewer device inputs: information is lost."""


class Encoder:
    """Base of the encoders, and the linear one: low + v (high - low).

    Parameters
    ----------
    scaling : {"feature", "global", "sigma"}
        Range that is mapped to the unit interval: the smallest and largest training value of
        each feature, or of all features together (images), or mean -+ 3 standard deviations.
    masks : int
        Rows, hence queries, per sample.
    label_scale : float
        Height of the label channels, as a share of the unit interval.
    adapter : {"auto", "pad", "project", "convolve"}
        How channels become inputs: unused inputs rest at 0, a random projection, or random
        filters of 3 x 3 pixels all over a square image (labels are projected); ``auto`` pads
        where there is room, and projects where there is none.
    seed : int
        Seed of the masks, of the projection and of the filters.

    Attributes
    ----------
    low_, span_ : ndarray of shape (features,)
        The learned scaling.
    adapter_ : str
        In words, how channels became inputs.
    """

    domains: ClassVar[tuple[str, ...]] = ("amplitude", "tones", "phase")

    def __init__(
        self,
        *,
        scaling: Literal["feature", "global", "sigma"] = "feature",
        masks: int = 1,
        label_scale: float = 1.0,
        adapter: Literal["auto", "pad", "project", "convolve"] = "auto",
        seed: int = 0,
    ) -> None:
        if scaling not in ("feature", "global", "sigma"):
            raise ValueError(f"scaling={scaling!r} is not one of feature, global, sigma")
        if adapter not in ("auto", "pad", "project", "convolve"):
            raise ValueError(f"adapter={adapter!r} is not one of auto, pad, project, convolve")
        if masks < 1:
            raise ValueError(f"masks={masks!r} must be at least 1")
        if not 0 < label_scale <= 1:
            raise ValueError(f"label_scale={label_scale!r} must be above 0 and at most 1")
        self.scaling, self.masks, self.adapter, self.seed = scaling, masks, adapter, seed
        self.label_scale = label_scale
        self.trained: dict[str, NDArray[np.float32]] = {}

    def fit(self, features: Array, spec: DeviceSpec, n_labels: int = 0) -> Self:
        """Learn the scaling and the width from training features, (rows, features).

        Parameters
        ----------
        features : ndarray of shape (rows, features)
            Training rows only.
        spec : DeviceSpec
            The device that will be driven.
        n_labels : int
            Classes of the label overlay; 0 for none.

        Raises
        ------
        ValueError
            If the encoder does not suit the device's domain, or padding has no room.
        """
        if spec.domain not in self.domains:
            raise ValueError(
                f"{type(self).__name__} cannot drive {spec.name}: its domain is {spec.domain!r}, "
                f"the encoder serves {', '.join(self.domains)}; use encoder='auto'"
            )
        self.spec, self.n_labels = spec, n_labels
        if self.scaling == "sigma":
            middle, reach = features.mean(axis=0), SIGMAS * features.std(axis=0)
            low, high = middle - reach, middle + reach
        else:
            low, high = features.min(axis=0), features.max(axis=0)
            if self.scaling == "global":
                low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        self.low_ = low
        self.span_ = np.where(high > low, high - low, 1.0)
        rng = np.random.default_rng(self.seed)
        self._fit_width(self.channels(features, None), rng)
        self.masks_ = rng.random((self.masks, self.spec.n_inputs)) < 0.5
        self.masks_[0] = False  # the first mask leaves the sample as it is
        self.trained = {}
        return self

    def encode(self, features: Array, labels: NDArray[np.int64] | None = None) -> Array:
        """Return legal drives of shape (rows * masks, n_inputs); a row's masks are neighbours.

        Parameters
        ----------
        features : ndarray of shape (rows, features)
        labels : ndarray of shape (rows,), optional
            The hypotheses, where the encoder was fitted for labels.
        """
        channels = self.channels(features, labels)
        if self.trained:
            unit = np.clip(channels @ self.trained["A"] + self.trained["c"], 0.0, 1.0)
        else:
            unit = self._adapt(channels)
        if self.masks > 1:
            unit = np.where(self.masks_, 1.0 - unit[:, None], unit[:, None])
            unit = unit.reshape(-1, self.spec.n_inputs)
        return self._code(unit)

    def channels(self, features: Array, labels: NDArray[np.int64] | None = None) -> Array:
        """Return the scaled features with the label overlay: what a digital skip hands on."""
        unit = np.clip((features - self.low_) / self.span_, 0.0, 1.0)
        if not self.n_labels:
            return unit
        overlay = np.zeros((len(unit), self.n_labels))
        if labels is not None:
            overlay[np.arange(len(unit)), labels] = self.label_scale
        return np.hstack([unit, overlay])

    # -- training the encoder ------------------------------------------------------------------

    def make_trainable(self, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Replace the adapter by a map that may be trained: unit = clip(channels A + c, 0, 1).

        It begins as the adapter that `fit` chose, with a little noise that breaks symmetries.

        Returns
        -------
        dict
            ``A``, (channels, n_inputs), and ``c``, (n_inputs,); changed in place by training.
        """
        A, c = self.linear_map()
        A = A + 0.1 * rng.standard_normal(A.shape) / np.sqrt(len(A))
        self.trained = {"A": A.astype(np.float32), "c": c.astype(np.float32)}
        return self.trained

    @property
    def span(self) -> Array:
        """How far a drive moves while the unit interval is crossed, (n_inputs,)."""
        low, high = self.spec.limits
        return np.broadcast_to(high - low, (self.spec.n_inputs,))

    def code(self, unit: Array) -> Array:
        """Return legal drives for numbers of the unit interval, (rows, n_inputs)."""
        return self._code(unit)

    def linear_map(self) -> tuple[Array, Array]:
        """Return A and c of the adapter as it is."""
        n, n_inputs = len(self.low_) + self.n_labels, self.spec.n_inputs
        if self._projection is None:
            return np.eye(n, n_inputs), np.zeros(n_inputs)
        A = 0.5 * self._projection / self._reach
        return A, 0.5 - self._middle @ A

    # -- steps ---------------------------------------------------------------------------------

    def check_width(self, n_features: int, spec: DeviceSpec, n_labels: int = 0) -> None:
        """Raise `ValueError` if the adapter cannot bring so many channels onto the inputs."""
        n = n_features + n_labels
        if self.adapter == "pad" and n > spec.n_inputs:
            raise ValueError(
                f"{spec.name} has {spec.n_inputs} inputs, too few for {n} channels "
                f"({n_features} features and {n_labels} labels); use adapter='project' "
                "or a device with more inputs"
            )
        if self.adapter == "convolve":
            side_of(n_features)

    def _fit_width(self, channels: Array, rng: np.random.Generator) -> None:
        """Choose padding or projection from channels of shape (rows, channels)."""
        n, n_inputs = channels.shape[1], self.spec.n_inputs
        self._projection: Array | None = None
        self.check_width(n - self.n_labels, self.spec, self.n_labels)
        if self.adapter in ("auto", "pad") and n <= n_inputs:
            self.adapter_ = "as they are" if n == n_inputs else f"padded {n} -> {n_inputs}"
            return
        self._projection = rng.standard_normal((n, n_inputs)) / np.sqrt(n)
        self.adapter_ = f"projected at random {n} -> {n_inputs}"
        if self.adapter == "convolve":
            filters, self.adapter_ = local_filters(n - self.n_labels, n_inputs, rng)
            self._projection[: len(filters)] = filters
        self._middle = channels.mean(axis=0)
        if self.n_labels:  # the mean over hypotheses, none of which is in `channels`
            self._middle[-self.n_labels :] = self.label_scale / self.n_labels
        spread = channels.var(axis=0)
        if self.n_labels:
            share = 1 / self.n_labels
            spread[-self.n_labels :] = self.label_scale**2 * share * (1 - share)
        reach = SIGMAS * np.sqrt(spread @ self._projection**2)
        self._reach = np.where(reach > 0, reach, 1.0)
        if n > n_inputs:
            warnings.warn(
                f"{n} channels ({n - self.n_labels} features and {self.n_labels} labels) are "
                f"{self.adapter_.partition(' ')[0]} onto the {n_inputs} inputs of "
                f"{self.spec.name}: information is lost",
                WidthWarning,
                stacklevel=4,
            )

    def _adapt(self, channels: Array) -> Array:
        if self._projection is None:
            room = self.spec.n_inputs - channels.shape[1]
            return np.pad(channels, ((0, 0), (0, room))) if room else channels
        projected = (channels - self._middle) @ self._projection
        return np.clip(0.5 + 0.5 * projected / self._reach, 0.0, 1.0)

    def _code(self, unit: Array) -> Array:
        low, high = self.spec.limits
        # low + unit * (high - low) may exceed high by one rounding error.
        return np.clip(low + unit * self.span, low, high)

    @property
    def multiply_adds(self) -> int:
        """Digital multiply-adds of encoding one row: those of the projection or trained map."""
        if self.trained:
            return self.trained["A"].size
        return 0 if self._projection is None else self._projection.size

    # -- state ---------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what was learned, as arrays."""
        arrays = {"low": self.low_, "span": self.span_, "masks": self.masks_}
        if self._projection is not None:
            arrays |= {
                "projection": self._projection,
                "middle": self._middle,
                "reach": self._reach,
            }
        return arrays | {f"trained.{name}": values for name, values in self.trained.items()}

    def restore(self, state: dict[str, NDArray[Any]], spec: DeviceSpec, n_labels: int) -> Self:
        """Take over what `state` returned, for a device of the same spec."""
        self.spec, self.n_labels = spec, n_labels
        self.low_, self.span_ = state["low"], state["span"]
        self.masks_ = state["masks"].astype(bool)
        self._projection = state.get("projection")
        if self._projection is not None:
            self._middle, self._reach = state["middle"], state["reach"]
        self.trained = {
            name: state[f"trained.{name}"] for name in ("A", "c") if f"trained.{name}" in state
        }
        self.adapter_ = "restored"
        return self


class AmplitudeEncoder(Encoder):
    """Amplitudes: the unit interval onto the limits of each input."""

    domains = ("amplitude",)


class TonesEncoder(Encoder):
    """Amplitudes of tones: the unit interval onto the limits of each tone."""

    domains = ("tones",)


class PhaseEncoder(Encoder):
    """Phases of pixels, over at most half a turn: beyond it, different features look alike."""

    domains = ("phase",)

    @property
    def span(self) -> Array:
        """Half a turn at the most, (n_inputs,)."""
        return np.minimum(super().span, np.pi)


class BitsEncoder(Encoder):
    """Bits: each channel as a thermometer code of as many inputs as there is room for.

    Channel v with k inputs sets input j where v > (j + 1/2) / k; k = 1 is a threshold at 1/2.
    Projected channels are thresholded in the same way.
    """

    domains = ("bits",)

    def linear_map(self) -> tuple[Array, Array]:
        """Return A and c: a thermometer code is that of v / top + 1/2 - (j + 1/2) / k above 1/2."""
        if self._projection is not None:
            return super().linear_map()
        tops = self._tops()
        k = self._levels(len(tops))
        A, c = np.zeros((len(tops), self.spec.n_inputs)), np.zeros(self.spec.n_inputs)
        A[:, : k * len(tops)] = np.repeat(np.diag(1 / tops), k, axis=1)
        c[: k * len(tops)] = np.tile(0.5 - (np.arange(k) + 0.5) / k, len(tops))
        return A, c

    def _levels(self, n_channels: int) -> int:
        return max(1, self.spec.n_inputs // n_channels) if self.adapter in ("auto", "pad") else 1

    def _adapt(self, channels: Array) -> Array:
        if self._projection is not None:
            return super()._adapt(channels)
        k = self._levels(channels.shape[1])
        bits = channels[:, :, None] > (np.arange(k) + 0.5) / k * self._tops()[:, None]
        return super()._adapt(bits.reshape(len(channels), k * channels.shape[1]).astype(float))

    def _tops(self) -> Array:
        """Height of each channel; a label channel is all on at its own scale."""
        features = np.ones(len(self.low_))
        return np.concatenate([features, np.full(self.n_labels, self.label_scale)])

    def _code(self, unit: Array) -> Array:
        low, high = self.spec.limits
        return np.where(unit > 0.5, high, low)


class CodesEncoder(Encoder):
    """Whole numbers, such as the codes of a converter: rounded, inside the limits."""

    domains = ("codes",)

    def _code(self, unit: Array) -> Array:
        low, high = (np.ceil(self.spec.limits[0]), np.floor(self.spec.limits[1]))
        return np.round(low + unit * (high - low))


#: Encoders by the domain that they serve.
ENCODERS: dict[str, type[Encoder]] = {
    "amplitude": AmplitudeEncoder,
    "tones": TonesEncoder,
    "phase": PhaseEncoder,
    "bits": BitsEncoder,
    "codes": CodesEncoder,
}


def make_encoder(name: str, spec: DeviceSpec, **options: Any) -> Encoder:
    """Return the encoder `name`, or with ``"auto"`` the one for the device's domain.

    Raises
    ------
    ValueError
        If there is no such encoder.
    """
    if name != "auto" and name not in ENCODERS:
        raise ValueError(f"encoder={name!r} is not one of auto, {', '.join(ENCODERS)}")
    return ENCODERS[spec.domain if name == "auto" else name](**options)
