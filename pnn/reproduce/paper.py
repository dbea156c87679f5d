"""The paper and its published code: what they fix, what they leave open, and what is done here.

Facts are from the abstract of the paper (Science 382, 1297 (2023), arXiv:2304.11042) and from the
code and data that its authors publish (https://github.com/MomeniAli/PhyLL, MIT licence).
"""

from __future__ import annotations

__all__ = ["FIGURES", "FOLLOWED", "OPEN", "PAPER", "SETTINGS"]

PAPER = (
    "A. Momeni, B. Rahmani, M. Malléjac, P. del Hougne, R. Fleury, Backpropagation-free training "
    "of deep physical neural networks, Science 382, 1297 (2023), arXiv:2304.11042"
)

#: The published code's settings for each system beside ours.
SETTINGS = (
    ("", "acoustic", "microwave", "optical"),
    ("layers, theirs / ours", "2 / 2", "3 / 3", "2 / 2"),
    ("width of a layer", "20 / 20", "20 / 10", "676 / 80"),
    ("inputs of the device", "20 tones / 20", "40 elements / 20", "51 x 51 pixels / 80"),
    ("outputs of the device", "20 / 20", "20 / 20", "676 / 128"),
    ("layer input joins the answer", "yes / yes", "yes / yes", "no / no"),
    ("slope theta", "4 / 4", "4 / 4", "5 / 4"),
    ("optimiser steps on each answer", "10 / 10", "10 / 10", "20 / 10"),
    ("learning rate of Adam", "5e-4 / 1e-2", "2.5e-4 / 1e-2", "5e-5 / 1e-2"),
    ("epochs", "200 / 40", "100 / 40", "350 / 16"),
    ("samples in a batch", "all / 128", "all / 128", "10,000 / 128"),
    ("seeds", "10 / 10", "1 / 10", "1 / 3"),
    ("task", "7 vowels, 12 features / 7 vowels, 3", "the same", "MNIST / 8 x 8 digits"),
    ("training rows", "206 / 308", "206 / 308", "60,000 / 1,437"),
    ("PhyLL's training queries", "1.6e5", "1.2e5", "8.4e7"),
)

#: What the published code does, and what follows it here.
FOLLOWED = (
    "Goodness is the cosine of |h| with a fixed random unit vector of the layer, the loss a "
    "softplus of the difference between the right and a wrong label; the layers are trained one "
    "after the other on the same batch, and the label with the highest sum over the layers wins. "
    "`phyll-remeasured` measures every batch anew, under the right and one wrong label, as the "
    "published code does.",
    "The label is written into the first layer's input. There it is as high as the largest value "
    "of the batch; here its height is fixed, so that no row depends on those beside it.",
    "Acoustic and microwave layers hand their input around the device, to the trained matrix "
    "(`skip = true`); optical layers do not. With the skip the digital part could do the task "
    "alone, so the linear model on the raw input stands under every table.",
    "Acoustic: the published code trains on a neural network that was fitted to the recorded "
    "cavity, not on the cavity. So do we: on a twin of the recording, and on one of our simulated "
    "cavity, which offers no derivatives of its own.",
    "Microwave: bits at a quarter and three quarters of each feature's range. The published code "
    "has a fourth level for the smallest value of a row; our thermometer code has three, and rules "
    "without label channels have room for more bits per feature in the first layer.",
    "Optical: light through a fixed scrambling system, of which the camera sees the power; two "
    "layers. The published code uses a measured transmission matrix and the modulus of the field.",
    "The accuracy is that of the last state, on the test rows; nothing is picked by it.",
)

#: What neither the abstract nor the published code tells, and what was done.
OPEN = (
    "Only PhyLL with labels is in the published code: no unsupervised training, no references, no "
    "perturbation. All that follows is our reading.",
    "Unsupervised: negatives are mixtures of two samples, and a ridge regression reads all layers "
    "at the end.",
    "Perturbation: at half of the training, or at its end, the answers change by a fixed gain of "
    "each output (standard deviation c) and by c of the amplitude of another output; c "
    "stands above for each system, since a tenth brings the acoustic networks down to chance, "
    "whatever the rule. The change is the same for all rules and seeds, and stays for the test. "
    "Half is half of the epochs of all layers, whatever a rule has measured by then.",
    "Physics-aware and in-silico training fit their own models, to rows of the device as it is at "
    "the beginning; these rows count as queries and the fits as multiply-adds. The models are "
    "affine maps. Physics-aware training fits anew every ten epochs, to rows that it has measured "
    "anyway; in-silico training does not.",
    "The references train the encoding before the device as well, and carry a cross-entropy back "
    "through all layers; PhyLL trains what stands after each device.",
    "Vowels: Peterson and Barney (1952), women, F1 to F3, scaled by training rows, speakers never "
    "in training and test at once. The published code has another table of vowels, scales it with "
    "the test rows and splits it regardless of the speaker, which makes the task easier.",
    "Multiply-adds are those of updates, closed forms and fits of twins. Devices that state no "
    "power have no energy.",
)

#: Accuracies that others report, each with its source.
FIGURES = (
    (
        "vowels through an acoustic cavity with nonlinear scatterers, one trained readout",
        "91.4 %",
        "Momeni et al., arXiv:2304.08380 (abstract)",
    ),
)
