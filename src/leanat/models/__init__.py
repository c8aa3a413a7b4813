"""Networks by name. Their inputs are pixels in [0, 1], their outputs logits."""

from leanat.models.classifier import Classifier, Copied, PerChannel, PerImage
from leanat.models.frozen import Transferred, transfer_head
from leanat.models.names import BODIES, build

__all__ = ["BODIES", "Classifier", "Copied", "PerChannel", "PerImage", "Transferred", "build", "transfer_head"]
