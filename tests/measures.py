"""Every measure of a suite on a few pictures, in a second."""

import torch

from leanat.cost.timing import images
from leanat.models import io
from leanat.runs import assess

SHAPE = {"classes": 4, "channels": 3, "size": 8}
FGSM = {"pgd": {"threat": {"linf": {"eps": 0.03}}, "steps": 1, "step_size": 0.03, "start": "none"}}
NAMED = {"attacks": [{"name": "fgsm", "attack": FGSM}], "examples": None, "mapped": 8}
MEASURES = {
    "maps": {"fgsm": FGSM, "pgd": FGSM},
    "terms": {},
    "feature_distances": NAMED,
    "gradient_error": {
        "objective": "cross_entropy",
        "attack": FGSM,
        "batch": 6,
        "fractions": [0.5],
        "selectors": [{"name": "random", "selector": {"random": {"fraction": 0.5}}}],
    },
    "planted": {"share": 0.25, "filters": 3},
}


def few_pictures():
    return images(SHAPE, 12, torch.device("cpu"), ())


def network_for(pictures):
    return io.build("resnet_tiny", "channel", io.describe(pictures), 0).eval()


def assessed(name, net, pictures, folder):
    """The numbers of a measure, through a suite."""
    (folder / "net").mkdir(parents=True)
    about = {"model": {"name": "resnet_tiny", "standardise": "channel"}, "data": io.describe(pictures)}
    io.save(folder / "net" / "model.safetensors", net, about)
    fields = MEASURES[name] | ({"teacher": f"{folder}/net"} if name == "terms" else {})
    suite = {name: {"measure": {name: fields}}}
    return assess.assess(net, lambda part: pictures, suite, folder / "kept", 0, folder)["measures"][name]["numbers"]
