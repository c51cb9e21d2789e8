"""The engine of the Docker command, where the configuration names none."""

import hashlib
import json
from pathlib import Path

import pytest

from watchd.config.load import engine_source, load
from watchd.errors import ConfigError


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the Docker command's settings."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def add_context(directory: Path, name: str, host: str, *tls: str, current: bool = True) -> Path:
    """Write the files of a context as `docker context create` does. Return the directory of its TLS files."""
    hashed = hashlib.sha256(name.encode()).hexdigest()
    metadata = directory / "contexts/meta" / hashed / "meta.json"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host}}}))
    files = directory / "contexts/tls" / hashed / "docker"
    files.mkdir(parents=True)
    for file in tls:
        (files / file).touch()
    if current:
        (directory / "config.json").write_text(json.dumps({"currentContext": name}))
    return files


def config_file(directory: Path, text: str) -> Path:
    file = directory / "watchd.toml"
    file.write_text(text)
    return file


@pytest.mark.usefixtures("docker_config")
def test_without_any_setting_it_is_the_usual_socket() -> None:
    assert load(None).engine.host == "unix:///var/run/docker.sock"
    assert engine_source(None) == "the default"


def test_it_is_that_of_docker_host(monkeypatch: pytest.MonkeyPatch, docker_config: Path) -> None:
    add_context(docker_config, "other", "unix:///other.sock")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    assert load(None).engine.host == "unix:///run/user/1000/docker.sock"
    assert engine_source(None) == "$DOCKER_HOST"


def test_tls_of_the_environment_is_used_for_tcp(monkeypatch: pytest.MonkeyPatch, docker_config: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (docker_config / name).touch()
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:2376")
    assert load(None).engine.tls_ca is None
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    engine = load(None).engine
    assert (engine.tls_ca, engine.tls_cert, engine.tls_key) == tuple(
        docker_config / name for name in ("ca.pem", "cert.pem", "key.pem")
    )
    monkeypatch.setenv("DOCKER_HOST", "unix:///x.sock")
    assert load(None).engine.tls_ca is None


def test_it_is_that_of_the_current_context(docker_config: Path) -> None:
    tls = add_context(docker_config, "build-host", "tcp://build:2376", "ca.pem")
    engine = load(None).engine
    assert (engine.host, engine.tls_ca, engine.tls_cert) == ("tcp://build:2376", tls / "ca.pem", None)
    assert engine_source(None) == f"the Docker context build-host of {docker_config / 'config.json'}"


def test_a_variable_names_another_context(monkeypatch: pytest.MonkeyPatch, docker_config: Path) -> None:
    add_context(docker_config, "one", "unix:///one.sock")
    add_context(docker_config, "two", "unix:///two.sock", current=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "two")
    assert load(None).engine.host == "unix:///two.sock"
    assert engine_source(None) == "the Docker context two of $DOCKER_CONTEXT"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert load(None).engine.host == "unix:///var/run/docker.sock"


def test_a_context_that_is_not_there_is_an_error_beside_all_others(
    monkeypatch: pytest.MonkeyPatch, docker_config: Path
) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(ConfigError) as error:
        load(config_file(docker_config, "[log]\nlevel = 'loud'"))
    assert error.value.problems[0] == (
        "engine.host: the Docker context gone of $DOCKER_CONTEXT has no engine address:"
        " set [engine] host, or choose another context (`docker context ls`)"
    )
    assert error.value.problems[1].startswith("log.level: ")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"currentContext": 1}', '{"auths": {}}'])
def test_settings_without_a_context_are_passed_over(docker_config: Path, content: str) -> None:
    (docker_config / "config.json").write_text(content)
    assert load(None).engine.host == "unix:///var/run/docker.sock"


def test_an_address_that_cannot_be_used_is_refused_with_its_source(docker_config: Path) -> None:
    add_context(docker_config, "far", "ssh://root@far")
    with pytest.raises(ConfigError) as error:
        load(None)
    (problem,) = error.value.problems
    assert problem.startswith("engine.host: 'ssh://root@far' is not an engine address")
    assert problem.endswith(f"(from the Docker context far of {docker_config / 'config.json'})")


def test_the_configuration_comes_first_and_says_what_is_not_used(
    monkeypatch: pytest.MonkeyPatch, docker_config: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://not-usable")
    file = config_file(docker_config, "[engine]\nhost = 'unix:///mine.sock'")
    assert load(file).engine.host == "unix:///mine.sock"
    assert engine_source(file) == f"{file}; $DOCKER_HOST is not used"
    monkeypatch.setenv("WATCHD_ENGINE__HOST", "unix:///variable.sock")
    assert load(file).engine.host == "unix:///variable.sock"
    assert engine_source(file) == "WATCHD_ENGINE__HOST; $DOCKER_HOST is not used"


def test_other_settings_of_the_engine_are_kept(monkeypatch: pytest.MonkeyPatch, docker_config: Path) -> None:
    (docker_config / "my-ca.pem").touch()
    monkeypatch.setenv("DOCKER_HOST", "tcp://host:2376")
    engine = load(config_file(docker_config, f"[engine]\ntls_ca = '{docker_config}/my-ca.pem'")).engine
    assert (engine.host, engine.tls_ca) == ("tcp://host:2376", docker_config / "my-ca.pem")
    with pytest.raises(ConfigError, match="engine"):
        load(config_file(docker_config, "engine = 1"))
