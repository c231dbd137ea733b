"""What is imported late is all there, and is what it would be: each statement in a process of its own."""

import subprocess
import sys

import pytest

BEFORE = """
import sys, frame_train, pytorch_lightning, torch
assert not {"matplotlib", "triton", "sympy"} & set(sys.modules)
"""
STATEMENTS = {
    "a metric": "from torchmetrics import Accuracy, Metric; assert issubclass(type(Accuracy(task='binary')), Metric)",
    "an attribute": "import torchmetrics; assert torchmetrics.Accuracy(task='binary')",
    "all names": "from torchmetrics import *; assert MeanMetric and functional",
    "a module": "from torchmetrics.classification import BinaryAccuracy; assert BinaryAccuracy()",
    "functional": "import torchmetrics.functional as f; assert f.accuracy",
    "version": "import torchmetrics as t, importlib.metadata as m; assert t.__version__ == m.version('torchmetrics')",
    "no such name": "import torchmetrics; assert not hasattr(torchmetrics, 'no_such_metric')",
    "pickle": "import pickle, torchmetrics; assert pickle.loads(pickle.dumps(torchmetrics.MeanMetric))",
    "plot": """
from torchmetrics import MeanMetric
metric = MeanMetric()
metric.update(1.0)
figure, axes = metric.plot()
assert type(figure).__module__ == "matplotlib.figure"
""",
    "plot's annotations": """
import torchmetrics.utilities.plot as plot, matplotlib
assert plot.plot_confusion_matrix and plot._AX_TYPE is matplotlib.axes.Axes
""",
    "flops": """
from torch.utils.flop_counter import FlopCounterMode
with FlopCounterMode(display=False) as counter:
    torch.nn.Linear(3, 5)(torch.zeros(7, 3))
assert isinstance(counter, FlopCounterMode)
assert counter.get_total_flops() == 2 * 3 * 5 * 7
""",
    "a class that derives from what is late": """
from torch.utils.flop_counter import FlopCounterMode
class Own(FlopCounterMode): pass
from torch.utils.flop_counter import FlopCounterMode
assert isinstance(Own(), FlopCounterMode) and FlopCounterMode in Own.__mro__
""",
    "compile": """
assert torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1)) == 1
import torch._dynamo, importlib.machinery, inspect
assert torch._dynamo.explain and torch._dynamo.config.recompile_limit
assert isinstance(torch._dynamo.__spec__.loader, importlib.machinery.SourceFileLoader)
assert "optimize" in inspect.getsource(torch._dynamo)
""",
    "a module of the compiler": """
import torch._dynamo.utils as utils
from torch._dynamo import convert_frame
assert sys.modules["torch._dynamo.utils"] is torch._dynamo.utils is utils and convert_frame.counters is utils.counters
assert utils.__spec__.name == utils.__name__ and utils.__spec__.origin == utils.__loader__.path == utils.__file__
""",
    "what is left out of compiling": """
def double(x): return 2 * x
class Doubles:
    def __call__(self, x): return 2 * x
assert torch.compiler.disable(double)(3) == 6
assert torch.compiler.disable()(double)(3) == torch.compiler.disable(recursive=False)(double)(3) == 6
assert torch._dynamo.disable(fn=double)(3) == 6 and torch._dynamo.disable()(double)(3) == 6
assert torch.compiler.disable(torch.nn.Linear(2, 2))(torch.zeros(1, 2)).shape == (1, 2)
torch._dynamo.graph_break()
torch._dynamo.graph_break(msg="here")
""",
    "a class is asked after": """
from lightning_fabric.wrappers import OptimizedModule
assert not issubclass(torch.nn.Linear, OptimizedModule)
assert issubclass(type(torch.compile(torch.nn.Linear(1, 1))), OptimizedModule)
""",
    "threads": """
from threading import Thread
import torch._dynamo
found = []
threads = [Thread(target=lambda: found.append(torch._dynamo.config)) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(found) == 8 and all(one is torch._dynamo.config for one in found)
""",
    "an attribute of the compiler": "import torch._dynamo; torch._dynamo.reset()",
    "a compiled module is told from one that is not": """
from lightning_fabric.wrappers import OptimizedModule
from pytorch_lightning.utilities.compile import from_compiled
linear = torch.nn.Linear(1, 1)
assert not isinstance(linear, OptimizedModule)
assert "sympy" not in sys.modules
assert isinstance(torch.compile(linear), OptimizedModule)
assert not isinstance(linear, OptimizedModule)
module = pytorch_lightning.LightningModule()
assert from_compiled(torch.compile(module)) is module
""",
    "an optimizer is left out of what is compiled": """
weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.Adam([weight], fused=True)
def step():
    optimizer.zero_grad()
    weight.square().sum().backward()
    optimizer.step()
step()
assert "sympy" not in sys.modules
try:
    torch.compile(optimizer.zero_grad, backend="eager", fullgraph=True)()
except torch._dynamo.exc.Unsupported as error:
    assert "marked as skipped" in str(error)
else:
    raise AssertionError("compiled")
step()
assert optimizer.state[weight]["step"] == 2
""",
    "grids": """
from torchvision.utils import make_grid
assert make_grid(torch.zeros(4, 1, 5, 5), nrow=2).shape == (3, 16, 16)
assert "torchvision.models" not in sys.modules
import torchvision
assert torchvision.models.resnet18 and torchvision.utils.make_grid is make_grid
assert torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.tensor([0.1, 0.9]), 0.5).tolist() == [1]
""",
    "pictures": """
from torchvision.transforms import v2
from torchvision.datasets import FakeData
import torchvision
assert torchvision.datasets.FakeData is FakeData is torchvision.datasets.fakedata.FakeData
assert torchvision.transforms.v2 is v2 is sys.modules["torchvision.transforms.v2"]
assert v2.ToImage()(FakeData(2)[0][0]).shape == (3, 224, 224)
""",
    "launch": """
import wandb
assert "wandb.sdk.launch.agent" not in sys.modules
from wandb.sdk.launch import launch
from wandb.sdk.launch.inputs.manage import manage_config_file
assert callable(launch) and callable(manage_config_file)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEMENTS)
def test_all_is_there_behind_what_is_imported_late(name: str) -> None:
    subprocess.run([sys.executable, "-c", BEFORE + STATEMENTS[name]], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEMENTS)
def test_the_same_holds_of_what_is_imported_before(name: str) -> None:
    lines = STATEMENTS[name].splitlines(keepends=True)
    program = "".join(line for line in lines if "not in sys.modules" not in line)
    before = "import torch, torch._dynamo, torch.utils.flop_counter, torchmetrics, torchvision, wandb.sdk.launch\n"
    subprocess.run([sys.executable, "-c", f"{before}import sys, frame_train, pytorch_lightning\n{program}"], check=True)


@pytest.mark.slow
def test_what_can_not_be_executed_says_why_each_time_and_hinders_nothing_else() -> None:
    program = """
sys.modules["torch._dynamo.config"] = None
weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([weight], lr=1.0)
for _ in range(2):
    try:
        torch._dynamo.explain
    except ImportError as error:
        assert "torch._dynamo" in str(error)
    else:
        raise AssertionError
    optimizer.zero_grad()
"""
    subprocess.run([sys.executable, "-c", BEFORE + program], check=True)


@pytest.mark.slow
def test_what_is_imported_before_stays_as_it_is() -> None:
    statement = "import torchmetrics; before = torchmetrics.Metric; import frame_train, pytorch_lightning;"
    subprocess.run([sys.executable, "-c", f"{statement} assert torchmetrics.Metric is before"], check=True)
