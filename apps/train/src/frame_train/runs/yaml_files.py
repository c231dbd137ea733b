"""YAML files of a run directory, which may be somebody else's."""

from io import StringIO
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import AliasToken, YAMLError, scan

from frame_loggers.files import open_regular

_MOST_CHARACTERS = 1_000_000
_MOST_LEVELS = 50


def load_yaml(path: Path) -> DictConfig | ListConfig:
    """Load a YAML file of limited length and depth, without aliases, which could expand without limit.

    Raises:
        ValueError: The file is malformed, too long or nested too deeply, or has an alias.
        OSError: The file can't be read.
    """
    with open(path, encoding="utf-8", opener=open_regular) as file:
        text = file.read(_MOST_CHARACTERS + 1)
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"it is longer than {_MOST_CHARACTERS:,} characters")
    try:
        _check_tokens(text)
        return OmegaConf.load(StringIO(text))
    except (YAMLError, OmegaConfBaseException, OSError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check_tokens(text: str) -> None:
    n_levels = 0
    for token in scan(text):
        kind = type(token).__name__
        n_levels += kind.endswith("StartToken") - kind.endswith("EndToken")
        if n_levels > _MOST_LEVELS:
            raise ValueError(f"it has more than {_MOST_LEVELS} levels")
        if isinstance(token, AliasToken):
            raise ValueError(f"it has the alias `*{token.value}`, which is not supported")
