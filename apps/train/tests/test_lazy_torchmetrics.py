import subprocess
import sys

import pytest

BEFORE = "import sys, frame_train, pytorch_lightning; assert 'torchvision' not in sys.modules;"

STATEMENTS = (
    "from torchmetrics import Accuracy, Metric; assert issubclass(type(Accuracy(task='binary')), Metric)",
    "import torchmetrics; assert torchmetrics.Accuracy(task='binary')",
    "from torchmetrics import *; assert MeanMetric and functional",
    "from torchmetrics.classification import BinaryAccuracy; assert BinaryAccuracy()",
    "import torchmetrics.functional as f; assert f.accuracy",
    "import torchmetrics, importlib.metadata as m; assert torchmetrics.__version__ == m.version('torchmetrics')",
    "import torchmetrics; assert not hasattr(torchmetrics, 'no_such_metric')",
    "import pickle, torchmetrics; assert pickle.loads(pickle.dumps(torchmetrics.MeanMetric))",
)


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS)
def test_all_of_torchmetrics_is_there_behind_what_lightning_imports(statement: str) -> None:
    subprocess.run([sys.executable, "-c", BEFORE + statement], check=True)


@pytest.mark.slow
def test_what_is_imported_before_stays_as_it_is() -> None:
    statement = "import torchmetrics; before = torchmetrics.Metric; import frame_train, pytorch_lightning;"
    subprocess.run([sys.executable, "-c", f"{statement} assert torchmetrics.Metric is before"], check=True)
