import pytest

from frame_train.composition.compose import compose_config, prepare_config


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "VAE"),
        (["params.beta=0.1", "++seed=2", "trainer.max_epochs=3"], "VAE beta=0.1 seed=2"),
        (["run.name=mine", "params.encoder_layers=[8,8]"], "mine encoder_layers=[8,8]"),
        (["+params.token=${oc.env:OWN_TOKEN}"], "VAE"),
        (["run.display_name=beta of ${params.beta}", "params.beta=1"], "beta of 1"),
        ([f"run.notes={'x' * 200}", f"+params.text={'x' * 200}"], f"VAE text={'x' * 119}"),
    ],
)
def test_a_display_name_has_the_params_and_the_seed_of_the_command(
    arguments: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_TOKEN", "do-not-show-this")
    line = ["+experiment=DIGITS_VAE", *arguments]
    config = compose_config(line)
    prepare_config(config, line)
    assert config.run.display_name == name
    assert config.logger.wandb.name == name


@pytest.mark.parametrize("key", ["display_name", "group", "job_type", "notes"])
def test_a_description_from_the_environment_is_refused(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_TOKEN", "do-not-show-this")
    line = ["+experiment=DIGITS_VAE", f"run.{key}=${{oc.env:OWN_TOKEN}}"]
    with pytest.raises(ValueError, match=f"`run.{key}` must not take its value from the environment"):
        prepare_config(compose_config(line), line)
