"""Deferred packages behave like imported ones. Each statement runs in its own process."""

import subprocess
import sys

import pytest

DEFER = "import sys; from frame_train.commands.startup import defer_packages; defer_packages()\n"
BEFORE = (
    DEFER
    + """
import pytorch_lightning, torch
assert not {"matplotlib", "sympy", "torchvision", "triton"} & set(sys.modules)
"""
)
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
    "a count of operations": """
from pytorch_lightning.utilities.model_summary.model_summary import FlopCounterMode
with FlopCounterMode(display=False) as counter: torch.ones(2, 3) @ torch.ones(3, 4)
assert counter.get_total_flops() == 2 * 2 * 3 * 4
""",
    "a subclass of a stand-in": """
from lightning_fabric.wrappers import OptimizedModule
class Own(OptimizedModule): pass
from torch._dynamo import OptimizedModule
assert OptimizedModule in Own.__mro__
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
    "disabled compilation": """
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
    "a subclass check": """
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
    "a compiled module is recognized": """
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
    "optimizers are not compiled": """
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
    "several processes": """
import torch.distributed as distributed
store = distributed.HashStore()
distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
optimizer = torch.optim.Adam(model.parameters())
model(torch.ones(3, 2)).sum().backward()
optimizer.step()
assert "sympy" not in sys.modules
from torch._dynamo import trace_rules, utils
assert trace_rules.lookup
assert utils.counters is not None and torch._dynamo.utils.get_optimize_ddp_mode() == "ddp_optimizer"
torch._dynamo.config.optimize_ddp = False
assert utils.get_optimize_ddp_mode() == "no_optimization"
assert torch.compile(model, backend="eager")(torch.ones(3, 2)).shape == (3, 1)
distributed.destroy_process_group()
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
def test_a_deferred_package_behaves_like_an_imported_one(name: str) -> None:
    subprocess.run([sys.executable, "-c", BEFORE + STATEMENTS[name]], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_package_imported_before_it_would_be_deferred_behaves_as_usual(name: str) -> None:
    lines = STATEMENTS[name].splitlines(keepends=True)
    program = "".join(line for line in lines if "not in sys.modules" not in line)
    before = "import torch, torch._dynamo, torchmetrics, wandb.sdk.launch\n"
    subprocess.run([sys.executable, "-c", f"{before}{DEFER}import pytorch_lightning\n{program}"], check=True)


@pytest.mark.slow
def test_a_deferred_package_that_fails_to_import_raises_each_time_and_affects_nothing_else() -> None:
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
def test_a_package_imported_before_it_would_be_deferred_is_not_replaced() -> None:
    program = f"import torchmetrics; before = torchmetrics.Metric\n{DEFER}import pytorch_lightning"
    subprocess.run([sys.executable, "-c", f"{program}; assert torchmetrics.Metric is before"], check=True)


def test_importing_frame_train_has_no_side_effects() -> None:
    program = """
import sys
from omegaconf.basecontainer import BaseContainer
finders, resolvers = list(sys.meta_path), dict(BaseContainer._resolvers)
import frame_train
import frame_train.composition.settings
assert sys.meta_path == finders
assert BaseContainer._resolvers == resolvers
"""
    subprocess.run([sys.executable, "-c", program], check=True)
