"""Networks as estimators of scikit-learn: in its pipelines, its searches, and with all its tools.

scikit-learn is imported here alone: ``pip install 'autonn[sklearn]'``.

Read in this order: `networks`, `base`, `estimators`.
"""

from autonn.sklearn.base import Net
from autonn.sklearn.estimators import NetClassifier, NetRegressor
from autonn.sklearn.networks import Network, mlp

__all__ = ["Net", "NetClassifier", "NetRegressor", "Network", "mlp"]
