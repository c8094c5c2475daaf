"""Predictions from an Espalier cluster.

    from espalier import Client

    with Client("ipc:///run/espalier/router.sock") as client:
        part = client.predict("acme", "total", ["usa", "ca"], rows=[{"sex": "M", "bodyweight_kg": 81.5}])
        print(part.values, part.provenance.reason)

Written from docs/wire-protocol.md.
"""

from .client import Client
from .errors import Code, EspalierError
from .keys import Key
from .messages import Part, PartPrediction, Prediction, Provenance, Reason
from .registry import Registry
from .runs import Run

__all__ = ["Client", "Code", "EspalierError", "Key", "Part", "PartPrediction", "Prediction", "Provenance", "Reason", "Registry", "Run"]
__version__ = "0.1.0"
