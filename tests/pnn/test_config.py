"""Configurations: every key described, every mistake named with its place and its remedy."""

import tomllib

import pytest
from pydantic import BaseModel

from pnn.config import Config, ConfigError, load_config, presets, reference
from pnn.controls import CONTROLS

MINIMAL = {"data": "digits", "device": "sim:acoustic-cavity"}


def loaded(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


HEAD = 'device = "sim:acoustic-cavity"\n'


@pytest.mark.parametrize("name", presets())
def test_presets_are_valid_and_say_what_they_are(name):
    config = load_config(name)
    assert config.name == name
    assert len(config.description) > 20
    assert config.run.controls == tuple(CONTROLS)


def test_the_promised_presets_are_there():
    wanted = {"digits-optical", "mnist5k-optical", "vowels-acoustic", "digits-acoustic"}
    assert wanted <= set(presets())


def test_data_device_and_rule_may_be_plain_text(tmp_path):
    config = loaded(tmp_path, HEAD + 'data = "digits"\nrule = "readout"\n')
    assert (config.data.source, config.rule.name) == ("digits", "readout")
    assert config.device == "sim:acoustic-cavity"
    assert config.name == "mine"


def test_tables_hand_further_keys_to_the_source_and_the_rule():
    config = Config.model_validate(
        MINIMAL
        | {"data": {"source": "vowels", "sex": "men"}, "rule": {"name": "phyll", "theta": 3}}
    )
    assert config.data.model_dump()["sex"] == "men"
    assert config.rule.model_dump() == {"name": "phyll", "theta": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nepoch = 3", "there is no key training.epoch; did you mean 'epochs'?"),
        ("[network]\nzzz = 3", "there is no key network.zzz; known: layers, width, encoder"),
        ("[trainig]\nepochs = 3", "there is no key trainig; did you mean 'training'?"),
        ("[training]\nepochs = 0", "training.epochs = 0: Input should be greater than or equal to"),
        ("[training]\nlearning_rate = -0.1", "training.learning_rate = -0.1: .* greater than 0"),
        ("[training]\nvalidation = 1.0", "training.validation = 1.0: Input should be less than 1"),
        ("[run]\ncontrols = ['linaer']", "run.controls.0 = 'linaer': .*'linear', 'bypassed'"),
        ("[run]\nseed = -1", "run.seed = -1: Input should be greater than or equal to 0"),
        ("[network]\nscaling = 'log'", "network.scaling = 'log': .*'feature', 'global' or 'sigma'"),
        ("[network]\nlabel_scale = 2", "network.label_scale = 2: Input should be less than or"),
        ("[network]\nskip = 'perhaps'", "network.skip = 'perhaps': .*boolean"),
    ],
)
def test_a_mistake_is_named_with_file_key_value_and_range(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as error:
        loaded(tmp_path, HEAD + 'data = "digits"\n' + text)
    assert str(error.value).startswith(f"{tmp_path / 'mine.toml'}: ")
    assert len(str(error.value).splitlines()) == 1


def test_all_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, "[run]\nseeds = 0\nthreads = 0\n")
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert any("the key data is missing" in line for line in lines)
    assert any("the key device is missing" in line for line in lines)


def test_what_is_no_toml_is_named_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.toml: .*line 2"):
        loaded(tmp_path, HEAD + "data = digits\n")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "digits-optcal",
            r"neither a preset \(.*\) nor a TOML file. Did you mean 'digits-optical'",
        ),
        ("nowhere.toml", "'nowhere.toml' is neither a preset"),
    ],
)
def test_a_source_that_is_not_there_is_answered_with_what_is(source, message):
    with pytest.raises(ConfigError, match=message):
        load_config(source)


# -- changes -----------------------------------------------------------------------------------


def test_a_mapping_changes_keys_and_a_text_a_table():
    config = load_config("vowels-acoustic").with_(
        run={"seeds": 3}, rule="readout", data={"sex": "men"}, device={"n_outputs": 16}
    )
    assert (config.run.seeds, config.run.test) == (3, 0.2)
    assert config.rule.model_dump() == {"name": "readout"}
    assert config.data.model_dump()["sex"] == "men"
    assert config.data.model_dump()["vowels"] == 7
    assert (config.device["name"], config.device["n_outputs"]) == ("sim:acoustic-cavity", 16)
    assert load_config("vowels-acoustic").run.seeds == 1


def test_a_device_given_as_text_can_be_changed_too():
    config = Config.model_validate(MINIMAL).with_(device={"seed": 3})
    assert config.device == {"name": "sim:acoustic-cavity", "seed": 3}


def test_a_change_out_of_range_or_of_a_whole_list_is_refused():
    config = Config.model_validate(MINIMAL)
    with pytest.raises(ConfigError, match=r"the options: training\.epochs = 0"):
        config.with_(training={"epochs": 0})
    several = config.with_(device=["sim:acoustic-cavity", "sim:scattering-medium"])
    with pytest.raises(ConfigError, match="device is a list; give the whole list"):
        several.with_(device={"seed": 1})


def test_what_is_written_down_reads_back():
    for path in presets().values():
        config = load_config(path)
        again = Config.model_validate(config.model_dump(mode="json", exclude_unset=True))
        assert again == config
        assert tomllib.loads(path.read_text(encoding="utf-8"))["description"] == config.description


# -- documentation -----------------------------------------------------------------------------


def tables(model):
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from tables(field.annotation)


def test_every_key_has_a_description():
    found = list(tables(Config))
    assert len(found) == 7
    for model in found:
        assert model.__doc__
        for key, field in model.model_fields.items():
            table = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            if not table:
                assert field.description, f"{model.__name__}.{key}"
                assert field.description.endswith(".")


def test_the_reference_has_every_key_and_an_example_that_works(tmp_path):
    text = reference()
    for model in tables(Config):
        for key, field in model.model_fields.items():
            if field.description:
                assert f"| `{key}` |" in text
                assert field.description in text
    example = text.split("```toml\n")[1].split("```")[0]
    config = loaded(tmp_path, example)
    assert config.run.seeds == 5
    assert config.device["wrap"][0]["name"] == "noisy"
