import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frame_train.composition.foreign.interpolations import escape, restrict_interpolations
from frame_train.composition.settings import register_resolver

SECRET = "do-not-show-this"
READING = (
    "${oc.env:TOKEN}",
    "${ oc.env : TOKEN }",
    "${oc.env:${name}}",
    "${oc.env:'TO${half}'}",
    "${${resolver}:TOKEN}",
    "${oc.${env}:TOKEN}",
    "of '${oc.env:TOKEN}'",
    "${oc.select:missing,${oc.env:TOKEN}}",
    "${oc.decode:${oc.env:TOKEN}}",
    "${oc.decode:'\\${oc.env:TOKEN}'}",
    "${oc.decode:'${dollar}{oc.env:TOKEN}'}",
    "${oc.decode:${escaped}}",
    "${oc.create:'{a: \\${oc.env:TOKEN}}'}",
    "${oc.create:{a: '\\${oc.env:TOKEN}'}}",
    "${oc.dict.values:keys}",
    "${oc.dict.keys:keys}",
    "${oc.deprecated:name}",
    "${workspace:}",
    "${now:%Y}",
    "${own_resolver:1}",
    "${frame.foreign:oc.env,TOKEN}",
    "${frame.foreign:oc.create,'{a: \\${oc.env:TOKEN}}'}",
)
HARMLESS = {
    "${oc.env:TOKEN,other}": "other",
    "${oc.env:TOKEN,null}": None,
    "${oc.env:TOKEN,''}": "",
    "${oc.env:TOKEN,'\\${oc.env:TOKEN}'}": "${oc.env:TOKEN}",
    "${oc.env:TOKEN,${number}}": "3",
    "${oc.decode:${oc.env:TOKEN,0}}": 0,
    "${oc.decode:'[1, 2]'}": [1, 2],
    "${oc.select:number}": 3,
    "${oc.select:missing,4}": 4,
    "${number} of '${oc.env:TOKEN,4}' \\${oc.env:TOKEN}": "3 of '4' ${oc.env:TOKEN}",
    "${escaped}": "${oc.env:TOKEN}",
    "${list}": [3, "x"],
}
COMMON = {
    "name": "TOKEN",
    "half": "KEN",
    "resolver": "oc.env",
    "env": "env",
    "dollar": "$",
    "number": 3,
    "list": ["${number}", "x"],
    "escaped": "\\${oc.env:TOKEN}",
    "keys": {"x}${oc.env:TOKEN": 1},
}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    register_resolver("own_resolver", lambda _: SECRET)


@pytest.mark.parametrize("text", READING)
def test_a_foreign_config_reads_nothing_of_this_machine(text: str) -> None:
    config = restrict_interpolations(OmegaConf.create({**COMMON, "key": text}))
    with pytest.raises(OmegaConfBaseException, match=r"config can't (read the environment|call the resolver)"):
        str(OmegaConf.to_container(config, resolve=True))
    assert config.number == 3


@pytest.mark.parametrize(("text", "value"), HARMLESS.items(), ids=HARMLESS)
def test_what_reads_nothing_works(text: str, value: object) -> None:
    config = restrict_interpolations(OmegaConf.create({**COMMON, "key": text}))
    assert config.key == value
    again = restrict_interpolations(config)
    assert again == config
    assert again.key == value


def test_a_value_that_is_read_from_a_foreign_config_is_plain_text() -> None:
    config = restrict_interpolations(OmegaConf.create({**COMMON, "key": "${escaped}", "keys": ["${.0}"]}))
    assert config.key == "${oc.env:TOKEN}"
    assert OmegaConf.create({"key": escape(config.key)}).key == "${oc.env:TOKEN}"


def test_a_caller_allows_a_resolver_by_name() -> None:
    config = OmegaConf.create({"key": "${own_resolver:1}", "other": "${oc.env:TOKEN}"})
    restricted = restrict_interpolations(config, ["own_resolver"])
    assert restricted.key == SECRET
    with pytest.raises(OmegaConfBaseException, match=r"the environment variable 'TOKEN'"):
        _ = restricted.other


def test_the_name_of_a_reference_stays_so_that_two_keys_are_one_object() -> None:
    config = restrict_interpolations(OmegaConf.create({"a": {"b": 1}, "first": "${a}", "second": "${.first}"}))
    assert config.first is config.second is config.a
