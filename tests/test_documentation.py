"""The hooks that complete the documentation site."""

import pytest

pytest.importorskip("mkdocs", reason="the group `docs` is not installed")

from documentation.config_keys import CONFIG, Docstrings, Key, format_page, read_description, read_keys
from documentation.help import run
from documentation.links import ROOT, find_page, rewrite_links, show_source
from documentation.llms import find_sentence
from documentation.methods import read_method, read_results
from documentation.references import link_names


@pytest.mark.parametrize(
    ("name", "uri", "link", "rewritten"),
    [
        ("docs/data.md", "data.md", "extending.md#tests", "extending.md#tests"),
        ("docs/methods/vqvae.md", "methods/vqvae.md", "../transfer.md", "../transfer.md"),
        ("README.md", "index.md", "docs/data.md", "data.md"),
        ("README.md", "index.md", "packages/frame-core", "packages/frame-core.md"),
        ("README.md", "index.md", "config/device", "reference/config/device.md"),
        ("README.md", "index.md", "docs/methods", "methods/index.md"),
        ("apps/train/README.md", "packages/frame-train.md", "../../docs/search.md#grids", "../search.md#grids"),
        ("docs/cluster.md", "cluster.md", "../apps/train/slurm/run.sbatch", "source/apps/train/slurm/run.sbatch.md"),
        ("docs/scale.md", "scale.md", "https://example.org/x.md", "https://example.org/x.md"),
    ],
)
def test_a_link_of_the_repository_leads_to_a_page_of_the_site(name: str, uri: str, link: str, rewritten: str) -> None:
    assert rewrite_links(f"See [this]({link}).", name, uri) == f"See [this]({rewritten})."


@pytest.mark.parametrize(
    ("name", "link", "text"),
    [
        ("README.md", "[docs/scale.md](docs/scale.md)", "Several GPUs and machines"),
        ("README.md", "[docs/methods](docs/methods)", "Methods"),
        ("docs/tour.md", "[scale.md](scale.md#one-gpu)", "Several GPUs and machines"),
        ("apps/train/README.md", "[docs/scale.md](../../docs/scale.md)", "Several GPUs and machines"),
        ("README.md", "[scale](docs/scale.md)", "scale"),
        ("README.md", "[config/device](config/device)", "config/device"),
    ],
)
def test_a_link_whose_text_is_the_path_of_a_document_shows_its_title(name: str, link: str, text: str) -> None:
    assert rewrite_links(link, name, "index.md").startswith(f"[{text}](")


def test_the_images_of_the_readme_are_found_on_the_site() -> None:
    text = '<img src="docs/images/report.png" alt="A report">'
    assert rewrite_links(text, "README.md", "index.md") == '<img src="images/report.png" alt="A report">'


def test_code_is_not_rewritten() -> None:
    text = "```python\nfunctions[0](docs/data.md)\n```"
    assert rewrite_links(text, "README.md", "index.md") == text


def test_a_missing_file_has_no_page(caplog: pytest.LogCaptureFixture) -> None:
    assert [find_page(path) for path in ("docs/none.md", "config/none.yaml", "none", "../none")] == [None] * 4
    assert rewrite_links("[none](docs/none.md)", "README.md", "index.md") == "[none](docs/none.md)"
    assert "README.md links to docs/none.md, which does not exist." in caplog.text


def test_the_page_of_a_folder_shows_each_of_its_files() -> None:
    folder = ROOT / "apps" / "train" / "tests" / "outside" / "iwae"
    page = show_source(folder)
    assert "# iwae\n\n`apps/train/tests/outside/iwae`" in page
    for name in ("config/experiment/iwae.yaml", "iwae.py"):
        assert f"## {name}\n" in page
        assert (folder / name).read_text(encoding="utf-8") in page


YAML = """\
# @package _global_
# Two lines
# of description.
defaults:
  - /model: VAE   # a model
params: {}        # numbers
model:
  _target_: frame_models.VariationalAutoencoder
  beta: 2         # a weight
  "prior": "a # b"
hydra:
  run: {}
"""


def test_the_keys_of_a_config_file_are_read_with_their_values_and_comments() -> None:
    target = "frame_models.VariationalAutoencoder"
    assert read_description(YAML) == "Two lines of description."
    assert read_keys(YAML) == [
        Key(("defaults",), "", "", ""),
        Key(("defaults", "-"), "/model: VAE", "a model", ""),
        Key(("params",), "{}", "numbers", ""),
        Key(("model",), "", "", ""),
        Key(("model", "_target_"), target, "", target),
        Key(("model", "beta"), "2", "a weight", target),
        Key(("model", "prior"), '"a # b"', "", target),
    ]


def test_a_command_at_the_end_of_a_line_of_a_description_is_code() -> None:
    text = "# Digits: uv run train +experiment=A\n# model=B is another.\ndefaults: []\n"
    assert read_description(text) == "Digits: `uv run train +experiment=A`. model=B is another."


def test_a_key_without_a_comment_has_the_text_of_the_docstring() -> None:
    page = format_page("model", [CONFIG / "model" / "VAE.yaml"], Docstrings())
    assert "</code> | Posterior q(z &#124; x), from (batch, \\*x_shape) to" in page
    assert "[VariationalAutoencoder][frame_models.VariationalAutoencoder]: Latent-variable model" in page


def test_the_page_of_a_method_has_all_parts() -> None:
    method = read_method((ROOT / "docs" / "methods" / "vqvae.md").read_text(encoding="utf-8"))
    assert method.list_missing() == []
    assert method.experiment == "MNIST_VQVAE"
    results = read_results((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))
    assert results[method.row].startswith("ELBO/Validation: ")


def test_the_reference_of_a_command_is_its_output() -> None:
    assert run("runs --help").startswith("usage: runs [-h]")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("<h1>T</h1>\n<p>Train a <code>VAE</code> of x &amp; y. Then stop.</p><p>More.</p>", "Train a VAE of x & y."),
        (
            "<p>Train a model\nat once (<a href='x'>Kingma et al., 2014</a>):</p>",
            "Train a model at once (Kingma et al., 2014).",
        ),
        ("<h1>No paragraph</h1>", ""),
    ],
)
def test_the_sentence_of_a_page_is_the_first_of_its_first_paragraph(content: str, sentence: str) -> None:
    assert find_sentence(content) == sentence


def test_a_name_in_the_text_becomes_an_optional_reference() -> None:
    name = "`frame_train.data.Fold(data_set, k)`"
    assert link_names(name) == f'<autoref optional identifier="frame_train.data.Fold">{name}</autoref>'
    for text in ("# `frame_core.Model`", "[`frame_core.Model`](model.md)", "`frame_core`", "`torch.nn.Module`"):
        assert link_names(text) == text
