"""Values of the configuration. All errors are reported at once, each with the full path of its key."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from watchd.config import Config
from watchd.config.file import find_file
from watchd.config.load import checked, load
from watchd.errors import ConfigError

POLICY = """
[[cleanup.policies]]
name = "old"
kind = "container"
when.finished_for = "24h"
"""

NO_CONDITION = "has no condition and would remove all that it selects: add a when, a keep or a pressure"
KINDS = '"container" or "image" or "network" or "volume" or "build_cache"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def problems(file: Path, text: str = "") -> list[str]:
    """Return what is wrong with a file of this content."""
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file)
    assert error.value.exit_code == 2
    assert str(error.value) == "\n".join(error.value.problems)
    return error.value.problems


def as_toml(file: Path) -> str:
    """Return what `config show` prints of a file."""
    return tomli_w.dumps(checked(file).model_dump(mode="json", by_alias=True, exclude_none=True))


def loaded(file: Path, text: str = "") -> Config:
    file.write_text(text)
    return load(file)


class TestWhatIsGood:
    def test_without_a_file_the_defaults_watch_and_report_and_remove_nothing(self) -> None:
        config = load(None)
        assert config.engine.host == "unix:///var/run/docker.sock"
        assert config.http.listen == "127.0.0.1:10210"
        assert [
            (policy.name, policy.kind, config.cleanup.mode_of(policy), dict(policy.when))
            for policy in config.cleanup.policies
        ] == [
            ("exited-containers", "container", "report", {"finished_for": 7 * 86400.0}),
            ("dangling-images", "image", "report", {"dangling_for": 86400.0}),
        ]
        assert (config.cleanup.mode, config.cleanup.schedule, config.cleanup.grace) == ("report", "0 4 * * *", 3600.0)

    def test_an_empty_file_is_the_defaults(self, file: Path) -> None:
        assert loaded(file) == load(None)

    def test_a_policy_overrides_mode_and_schedule(self, file: Path) -> None:
        text = '[cleanup]\nmode = "enforce"\nschedule = "6h"\n' + POLICY
        (policy,) = loaded(file, text).cleanup.policies
        cleanup = loaded(file, text).cleanup
        assert (cleanup.mode_of(policy), cleanup.schedule_of(policy)) == ("enforce", "6h")
        cleanup = loaded(file, text + 'mode = "report"\nschedule = "30 1 * * sun"\n').cleanup
        (policy,) = cleanup.policies
        assert (cleanup.mode_of(policy), cleanup.schedule_of(policy)) == ("report", "30 1 * * sun")

    def test_no_policies_at_all_can_be_said(self, file: Path) -> None:
        assert loaded(file, "[cleanup]\npolicies = []\n").cleanup.policies == ()

    def test_what_is_loaded_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            setattr(load(None).cleanup, "mode", "enforce")  # noqa: B010 - mypy knows that it cannot be

    @pytest.mark.parametrize(
        "text",
        [
            "",
            POLICY,
            '[cleanup]\ngrace = "1.5h"\njitter = "1234ms"\n[state]\ndirectory = "/srv"\n[log]\nformat = "json"\n',
            '[engine]\nhost = "tcp://docker.example:2376"\n[http]\nlisten = "[::1]:9"\n',
            (
                '[[cleanup.policies]]\nname = "i"\nkind = "image"\nselect.class = ["untagged"]\n'
                'select.labels.any = ["a=*"]\nwhen.unused_for = "0.7ms"\nwhen.arrived_for = "7d"\n'
                'mode = "enforce"\nschedule = "6h"\n'
            ),
        ],
    )
    def test_what_is_shown_as_in_force_loads_back_as_the_same(self, file: Path, text: str) -> None:
        config = loaded(file, text)
        assert loaded(file, as_toml(file)) == config


class TestDriverOfVolumes:
    def test_it_is_local_and_needs_names(self, file: Path) -> None:
        policy = '[[cleanup.policies]]\nname = "v"\nkind = "volume"\nwhen.unused_for = "1d"\n'
        loaded(file, f'{policy}select.name = ["n*"]\nselect.driver = "local"\n')
        (unnamed,) = problems(file, f'{policy}select.driver = "local"\n')
        assert unnamed == 'cleanup.policies[0].select (v): driver = "local" needs select.name (globs)'
        (plugin,) = problems(file, f'{policy}select.name = ["n*"]\nselect.driver = "rclone"\n')
        assert plugin.startswith('cleanup.policies[0].select.driver (v): can only be "local": a volume of another')


class TestEveryValueOfItsOwnForm:
    @pytest.mark.parametrize("host", ["unix:///run/x.sock", "tcp://10.0.0.1:2375", "tcp://[::1]:2375", "tcp://h:1/"])
    def test_an_engine_is_at_a_socket_or_a_tcp_address(self, file: Path, host: str) -> None:
        assert loaded(file, f'[engine]\nhost = "{host}"\n').engine.host == host.rstrip("/")

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "/var/run/docker.sock",
            "unix://docker.sock",
            "tcp://host",
            "tcp://:2375",
            "tcp://host:0",
            "tcp://host:65536",
            "tcp://host:2375/path",
            "tcp://host:2375?x=1",
            "tcp://[::1",
            "http://host:2375",
            "npipe:////./pipe/docker_engine",
        ],
    )
    def test_another_address_of_an_engine_is_refused(self, file: Path, host: str) -> None:
        (problem,) = problems(file, f'[engine]\nhost = "{host}"\n')
        assert problem.startswith(f"engine.host: {host!r} is not an engine address: write")

    def test_an_engine_over_ssh_is_refused_with_the_way_to_reach_it(self, file: Path) -> None:
        (problem,) = problems(file, '[engine]\nhost = "ssh://me@host"\n')
        assert problem.startswith("engine.host: 'ssh://me@host' is not an engine address")
        assert "ssh -L" in problem

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1:10210",
            "0.0.0.0:80",
            "[::]:80",
            "localhost:65535",
            ":10210",
            "[fe80::1%lo]:1",
            "unix:///run/w.sock",
        ],
    )
    def test_it_listens_on_a_host_and_a_port(self, file: Path, address: str) -> None:
        assert loaded(file, f'[http]\nlisten = "{address}"\n').http.listen == address

    @pytest.mark.parametrize(
        "address",
        ["", ":", "unix://run/w.sock", "unix:///", "10210", "localhost", "localhost:0", "localhost:x", "::1:80"],
    )
    def test_another_address_to_listen_on_is_refused(self, file: Path, address: str) -> None:
        (problem,) = problems(file, f'[http]\nlisten = "{address}"\n')
        assert problem.startswith(f"http.listen: {address!r} is not an address to listen on: write")

    def test_it_listens_on_several_addresses(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        listed = loaded(file, '[http]\nlisten = ["127.0.0.1:1", "unix:///run/w.sock"]\n').http
        assert listed.addresses == ("127.0.0.1:1", "unix:///run/w.sock")
        assert problems(file, '[http]\nlisten = ["127.0.0.1:1", "x"]\n')[0].startswith("http.listen: 'x' is not")
        assert problems(file, "[http]\nlisten = []\n")[0].startswith("http.listen: [] is not")
        assert problems(file, "[http]\nlisten = 80\n")[0].startswith("http.listen: 80 is not")
        monkeypatch.setenv("WATCHD_HTTP__LISTEN", ":1")
        assert loaded(file, "").http.addresses == (":1",)
        monkeypatch.setenv("WATCHD_HTTP__LISTEN", '[":1", ":2"]')
        assert loaded(file, "").http.addresses == (":1", ":2")

    @pytest.mark.parametrize("name", ["Mars/Olympus", "", "/etc/localtime", "../UTC", "Europe"])
    def test_an_unknown_time_zone_is_refused(self, file: Path, name: str) -> None:
        (problem,) = problems(file, f'[cleanup]\ntimezone = "{name}"\n')
        assert problem.startswith(f"cleanup.timezone: {name!r} is not a time zone of this machine")

    def test_a_bad_schedule_says_which_field_is_wrong(self, file: Path) -> None:
        text = '[cleanup]\nschedule = "61 * * * *"\n' + POLICY + 'schedule = "x * * * *"\n'
        assert problems(file, text) == [
            "cleanup.policies[0].schedule (old): minute: 'x' is not between 0 and 59",
            "cleanup.schedule: minute: '61' is not between 0 and 59",
        ]

    @pytest.mark.parametrize("value", ["7", "0", "1.5", "true", "[]", "{}", "2026-01-01"])
    def test_a_bare_number_where_a_duration_belongs_is_refused(self, file: Path, value: str) -> None:
        (problem,) = problems(file, f"[cleanup]\ngrace = {value}\n")
        assert problem.startswith("cleanup.grace: ")
        assert 'has no unit: write a duration like "90s", "12h" or "7d"' in problem

    @pytest.mark.parametrize("value", ["7", "7 days", "-1h", "1y"])
    def test_a_wrong_unit_is_refused(self, file: Path, value: str) -> None:
        (problem,) = problems(file, POLICY.replace("24h", value))
        assert problem.startswith(f"cleanup.policies[0].when.finished_for (old): {value!r} is not a duration")

    @pytest.mark.parametrize("name", ["", "two words", "-x", "é", "a" * 65, "a/b"])
    def test_a_policys_name_is_a_plain_word_since_it_is_a_metric_label(self, file: Path, name: str) -> None:
        (problem,) = problems(file, POLICY.replace("old", name))
        assert problem.startswith("cleanup.policies[0].name")
        assert f"{name!r} is not a valid name: use letters, digits" in problem


class TestEveryErrorOfTheFile:
    def test_a_file_that_was_named_must_be_there(self, file: Path) -> None:
        with pytest.raises(ConfigError, match="there is no such file") as error:
            load(file)
        assert str(file) in str(error.value)

    def test_a_directory_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
            load(tmp_path)

    def test_a_file_in_another_encoding_is_refused(self, file: Path) -> None:
        file.write_bytes("# für".encode("latin-1"))
        with pytest.raises(ConfigError, match="is not UTF-8 text"):
            load(file)

    @pytest.mark.parametrize(
        "text", ["[cleanup", "a = 1\na = 2\n", "x = " + "9" * 5000, "x = " + "[" * 5000, "mode: report"]
    )
    def test_what_is_not_toml_is_refused(self, file: Path, text: str) -> None:
        (problem,) = problems(file, text)
        assert problem.startswith(f"{file}: is not TOML: ")

    def test_a_second_table_of_policies_needs_two_brackets(self, file: Path) -> None:
        (problem,) = problems(file, "[cleanup.policies]\nname = 'a'\n[cleanup.policies]\nname = 'b'\n")
        assert problem.endswith(": write [[cleanup.policies]] with two brackets")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[cleenup]\n", "cleenup: unknown key (did you mean 'cleanup'?)"),
            ("xyz = 1\n", "xyz: unknown key"),
            ('mode = "enforce"\n', "mode: unknown key (it belongs below [cleanup])"),
            ("tls_key = 1\n", "tls_key: unknown key (it belongs below [engine] or [http])"),
            ('_env_file = "x"\n', "_env_file: unknown key"),
            ("_cli_parse_args = true\n", "_cli_parse_args: unknown key"),
            ("[engine.data_roots]\nx = 1\n", 'engine.data_roots.x: unknown key (write "docker" or "containerd")'),
            ('[http]\nlisten = [":1", ":2", ":1"]\n', "http.listen: ':1' is listed twice: write each address once"),
            ("[engine]\nhots = 1\n", "engine.hots: unknown key (did you mean 'host'?)"),
            ("[cleanup]\nhonour_labels = true\n", "cleanup.honour_labels: unknown key (did you mean 'honor_labels'?)"),
            ("[cleanup.protect]\nimage = []\n", "cleanup.protect.image: unknown key (did you mean 'images'?)"),
            (POLICY + "sched = 1\n", "cleanup.policies[0].sched (old): unknown key (did you mean 'schedule'?)"),
            (POLICY + "select.x = []\n", "cleanup.policies[0].select.x (old): unknown key"),
            (POLICY + "pressure.above = 1\n", "cleanup.policies[0].pressure.above (old): unknown key"),
            (POLICY + "pressure.below = 1\n", "cleanup.policies[0].pressure.below (old): unknown key"),
            (
                POLICY + "select.labels.al = []\n",
                "cleanup.policies[0].select.labels.al (old): unknown key (did you mean 'all'?)",
            ),
            ("engine = 5\n", "engine: should be a table, not 5"),
            ("[metrics]\ngroups = 'cpu'\n", "metrics.groups: should be a list, not 'cpu'"),
            ("[metrics]\nprocfs = 3\n", "metrics.procfs: should be a path, not 3"),
            ("[log]\nlevel = 'loud'\n", "log.level: should be 'debug', 'info', 'warning' or 'error', not 'loud'"),
            ("[cleanup]\nmode = 'dry'\n", "cleanup.mode: should be 'report' or 'enforce', not 'dry'"),
            ("[cleanup]\npolicies = [5]\n", "cleanup.policies[0]: should be a table, not 5"),
            ("[cleanup]\npolicies = 5\n", "cleanup.policies: should be a list, not 5"),
            (
                "[cleanup.policies]\nname = 'a'\n",
                "cleanup.policies: should be a list of tables: write [[cleanup.policies]] with two brackets",
            ),
        ],
    )  # fmt: skip
    def test_an_unknown_key_or_a_wrong_value_is_told_by_its_path(self, file: Path, text: str, problem: str) -> None:
        assert problems(file, text) == [problem]

    @pytest.mark.parametrize(
        ("kind", "key", "problem"),
        [
            ("image", "select.status = []", "select.status (a): is for containers"),
            ("image", "select.name = []", "select.name (a): is for containers, networks and volumes"),
            ("container", "select.type = []", "select.type (a): is for the build cache"),
            ("container", "select.class = []", "select.class (a): is for images and volumes"),
            (
                "build_cache",
                "select.labels.any = []",
                "select.labels (a): is for containers, images, networks and volumes",
            ),
            ("volume", "compose_active = 'keep'", "compose_active (a): is for containers, images and networks"),
            ("network", "anonymous_volumes = true", "anonymous_volumes (a): is for containers"),
            ("volume", "keep = {last = 1, per = 'host'}", "keep.per (a): is for containers and images"),
        ],
    )
    def test_of_a_key_that_another_kind_has_it_is_said_which(
        self, file: Path, kind: str, key: str, problem: str
    ) -> None:
        when = {"container": "finished_for"}.get(kind, "unused_for")
        text = f"[[cleanup.policies]]\nname = 'a'\nkind = '{kind}'\nwhen.{when} = '1h'\n{key}\n"
        assert problems(file, text) == [f"cleanup.policies[0].{problem}"]

    def test_every_problem_of_the_file_and_the_environment_is_told_at_once(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WATCHD_LOG__LEVEL", "loud")
        monkeypatch.setenv("WATCHD_CLEENUP__MODE", "enforce")
        monkeypatch.setenv("WATCHD_METRICS__GROUPS", "cpu,memory")
        text = """
            nonsense = 1
            [cleanup]
            jitter = 5
            grace = "soon"
            [[cleanup.policies]]
            name = "a"
            kind = "image"
            [[cleanup.policies]]
            name = "a"
            kind = "container"
            when.unused_for = 3
        """
        assert problems(file, text) == [
            'cleanup.grace: \'soon\' is not a duration: write a number and its unit, like "90s", "12h" or "7d"',
            'cleanup.jitter: 5 has no unit: write a duration like "90s", "12h" or "7d"',
            f"cleanup.policies[0] (a): {NO_CONDITION}",
            "cleanup.policies[1].name: 'a' is already the name of an earlier policy: names must be unique",
            'cleanup.policies[1].when.unused_for (a): 3 has no unit: write a duration like "90s", "12h" or "7d"',
            (
                "cleanup.policies[1].when.unused_for (a): unknown condition for this kind: "
                "use 'finished_for' or 'never_started_for'"
            ),
            "environment: WATCHD_CLEENUP__MODE: unknown section 'cleenup' (did you mean 'cleanup'?)",
            "log.level: should be 'debug', 'info', 'warning' or 'error', not 'loud'",
            'metrics.groups: should be a list, not \'cpu,memory\': write it as JSON, like ["a", "b"]',
            "nonsense: unknown key",
        ]


class TestPolicies:
    @pytest.mark.parametrize("when", ["", "when = {}\n"])
    def test_a_policy_without_a_condition_is_refused(self, file: Path, when: str) -> None:
        text = f'[[cleanup.policies]]\nname = "all"\nkind = "image"\n{when}'
        assert problems(file, text) == [f"cleanup.policies[0] (all): {NO_CONDITION}"]

    def test_two_policies_of_one_name_are_refused_whoever_repeats_it(self, file: Path) -> None:
        taken = "'old' is already the name of an earlier policy: names must be unique"
        other = POLICY.replace("old", "other")
        assert problems(file, POLICY + other + POLICY + POLICY) == [
            f"cleanup.policies[2].name: {taken}",
            f"cleanup.policies[3].name: {taken}",
        ]

    def test_policies_without_names_are_each_told(self, file: Path) -> None:
        text = '[[cleanup.policies]]\nkind = "container"\nwhen.finished_for = "1h"\n'
        assert problems(file, text * 2) == [
            "cleanup.policies[0].name: is missing",
            "cleanup.policies[1].name: is missing",
        ]

    def test_a_policy_without_a_kind_or_of_a_wrong_one_is_refused(self, file: Path) -> None:
        text = (
            '[[cleanup.policies]]\nname = "a"\nwhen.x = "1h"\n'
            '[[cleanup.policies]]\nname = "b"\nkind = "pod"\nwhen.x = "1h"\n'
        )
        assert problems(file, text) == [
            f"cleanup.policies[0] (a): has no kind: write kind = {KINDS}",
            f"cleanup.policies[1] (b): kind is {KINDS}, not 'pod'",
        ]

    @pytest.mark.parametrize(
        ("kind", "clock", "known"),
        [
            ("container", "unused_for", "'finished_for' or 'never_started_for'"),
            ("image", "finished_for", "'unused_for', 'arrived_for', 'dangling_for' or 'built_for'"),
            ("image", "age", "'unused_for', 'arrived_for', 'dangling_for' or 'built_for'"),
        ],
    )
    def test_a_condition_of_another_kind_is_refused_with_those_there_are(
        self, file: Path, kind: str, clock: str, known: str
    ) -> None:
        text = f'[[cleanup.policies]]\nname = "a"\nkind = "{kind}"\nwhen.{clock} = "1h"\n'
        assert problems(file, text) == [
            f"cleanup.policies[0].when.{clock} (a): unknown condition for this kind: use {known}"
        ]

    @pytest.mark.parametrize(
        ("kind", "select", "path"),
        [
            ("container", 'status = ["gone"]', "status[0]"),
            ("image", 'class = ["old"]', "class[0]"),
            ("image", 'class_ = ["tagged"]', "class_"),
            ("image", 'status = ["exited"]', "status"),
            ("container", 'class = ["tagged"]', "class"),
        ],
    )
    def test_a_wrong_select_is_refused(self, file: Path, kind: str, select: str, path: str) -> None:
        clock = {"container": "finished_for", "image": "unused_for"}[kind]
        text = f'[[cleanup.policies]]\nname = "a"\nkind = "{kind}"\nwhen.{clock} = "1h"\nselect.{select}\n'
        (problem,) = problems(file, text)
        assert problem.startswith(f"cleanup.policies[0].select.{path} (a): ")


class TestTls:
    @pytest.fixture
    def pem(self, tmp_path: Path) -> Path:
        path = tmp_path / "any.pem"
        path.write_text("")
        return path

    @pytest.mark.parametrize("key", ["tls_cert", "tls_key"])
    def test_certificate_and_key_go_together(self, file: Path, pem: Path, key: str) -> None:
        assert problems(file, f'[engine]\nhost = "tcp://h:1"\n{key} = "{pem}"\n') == [
            "engine: tls_cert and tls_key go together: give both or none"
        ]

    def test_tls_over_a_socket_is_refused(self, file: Path, pem: Path) -> None:
        assert problems(file, f'[engine]\ntls_ca = "{pem}"\n') == [
            "engine: TLS is for tcp:// addresses, not for a UNIX socket"
        ]

    def test_files_that_are_named_must_be_there(self, file: Path, pem: Path) -> None:
        text = f'[engine]\nhost = "tcp://h:1"\ntls_ca = "{pem}"\ntls_cert = "{pem}"\ntls_key = "/nowhere/key.pem"\n'
        assert problems(file, text) == [
            "engine.tls_key: /nowhere/key.pem: there is no such file"
        ]  # fmt: skip
        engine = loaded(file, text.replace("/nowhere/key.pem", str(pem))).engine
        assert (engine.tls_ca, engine.tls_cert, engine.tls_key) == (pem, pem, pem)

    def test_disks_are_named_by_directories_that_are_there(self, file: Path, pem: Path) -> None:
        text = f'[engine.data_roots]\ndocker = "docker"\ncontainerd = "{pem}"\n'
        assert problems(file, text) == [
            f"engine.data_roots.containerd: {pem}: is not a directory",
            "engine.data_roots.docker: docker: is not absolute: begin it with /",
        ]
        assert problems(file, '[engine.data_roots]\ndocker = "/nowhere"\n') == [
            "engine.data_roots.docker: /nowhere: there is no such directory here; in a container it has to be mounted"
        ]
        assert loaded(file, f'[engine.data_roots]\ndocker = "{pem.parent}"\n').engine.data_roots.docker == pem.parent


class TestEnvironment:
    def test_a_variable_wins_over_the_file_and_leaves_its_neighbours(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WATCHD_CLEANUP__GRACE", "2h")
        monkeypatch.setenv("WATCHD_CLEANUP__HONOR_LABELS", "false")
        monkeypatch.setenv("WATCHD_CLEANUP__PROTECT__IMAGES", '["redis*"]')
        cleanup = loaded(file, '[cleanup]\ngrace = "1h"\njitter = "3s"\n[cleanup.protect]\nlabels = ["a"]\n').cleanup
        assert (cleanup.grace, cleanup.jitter, cleanup.honor_labels) == (7200.0, 3.0, False)
        assert (cleanup.protect.images, cleanup.protect.labels) == (("redis*",), ("a",))

    def test_policies_are_written_as_json(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        policies = '[{"name": "b", "kind": "image", "select": {"class": ["tagged"]}, "when": {"unused_for": "30d"}}]'
        monkeypatch.setenv("WATCHD_CLEANUP__POLICIES", policies)
        (policy,) = loaded(file, POLICY).cleanup.policies
        assert (policy.name, policy.kind, dict(policy.when)) == ("b", "image", {"unused_for": 30 * 86400.0})

    def test_errors_in_policies_of_the_environment_carry_their_own_names(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policies = '[{"name": "b", "kind": "container", "when": {"finished_for": 7}}, {"name": "b", "kind": "image"}]'
        monkeypatch.setenv("WATCHD_CLEANUP__POLICIES", policies)
        assert problems(file, POLICY) == [
            'cleanup.policies[0].when.finished_for (b): 7 has no unit: write a duration like "90s", "12h" or "7d"',
            f"cleanup.policies[1] (b): {NO_CONDITION}",
            "cleanup.policies[1].name: 'b' is already the name of an earlier policy: names must be unique",
        ]

    @pytest.mark.parametrize("value", ["old", '[{"name": "b"', "["])
    def test_a_list_that_is_not_json_is_told_by_its_full_path(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("WATCHD_CLEANUP__POLICIES", value)
        example = '[{"name": "a", "kind": "image", "when": {"unused_for": "30d"}}]'
        assert problems(file) == [
            f"cleanup.policies: should be a list, not {value!r}: write it as JSON, like {example}"
        ]
        monkeypatch.setenv("WATCHD_CLEANUP__POLICIES", example)
        assert len(loaded(file).cleanup.policies) == 1

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("METRICS__GROUPS", """metrics.groups: should be a list, not 'a:b': write it as JSON, like ["a", "b"]"""),
            ("HTTP__USERS", 'http.users: should be a table: write it as JSON, like {"a": "b"}'),
            ("CLEANUP__PROTECT", "cleanup.protect: should be a table, not 'a:b'"),
        ],
    )  # fmt: skip
    def test_what_json_a_variable_may_have_is_told(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
    ) -> None:
        monkeypatch.setenv(f"WATCHD_{name}", "a:b")
        assert problems(file) == [problem]

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            (
                "WATCHD_ENGIN__HOST",
                "environment: WATCHD_ENGIN__HOST: unknown section 'engin' (did you mean 'engine'?)",
            ),
            ("WATCHD_HOST", "environment: WATCHD_HOST: unknown section 'host'"),
            ("WATCHD_ENGINE", "environment: WATCHD_ENGINE: has no key: write WATCHD_ENGINE__KEY"),
            ("watchd_xyz", "environment: watchd_xyz: unknown section 'xyz'"),
        ],
    )  # fmt: skip
    def test_an_unknown_variable_is_refused(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
    ) -> None:
        monkeypatch.setenv(name, "{}")
        assert problems(file) == [problem]

    def test_a_variable_for_an_unknown_key_is_refused(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WATCHD_ENGINE__HOTS", "unix:///x")
        assert problems(file) == ["engine.hots: unknown key (did you mean 'host'?)"]

    def test_a_variable_below_a_key_that_is_no_table_is_refused(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WATCHD_ENGINE__HOST", "unix:///run/docker.sock")
        monkeypatch.setenv("WATCHD_ENGINE__HOST__PORT", "1")
        monkeypatch.setenv("WATCHD_CLEANUP__PROTECT__IMAGES", '["a"]')
        assert problems(file) == ["environment: WATCHD_ENGINE__HOST__PORT: engine.host is not a table"]

    def test_variables_of_other_programs_are_none_of_watchds(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WATCHDOG_USEC", "1")
        monkeypatch.setenv("WATCHD_CONFIG", str(file))  # which file to read is none of its keys
        monkeypatch.setenv("ENGINE__HOST", "x")
        assert loaded(file) == load(None)


class TestWhichFile:
    def test_the_flag_wins_over_the_variable(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WATCHD_CONFIG", "/from/variable.toml")
        assert find_file(file) == file
        assert find_file(None) == Path("/from/variable.toml")
        monkeypatch.setenv("WATCHD_CONFIG", "")
        assert find_file(None) != Path()

    def test_the_systems_file_is_used_where_it_exists(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(import_module("watchd.config.file"), "DEFAULT_FILE", file)
        assert find_file(None) is None
        file.write_text("")
        assert find_file(None) == file


WORDS = (
    "engine host tls_ca tls_cert state directory http listen log level format metrics groups container_labels cleanup "
    "mode schedule timezone jitter grace honor_labels protect labels images policies name kind select status class any "
    "when finished_for unused_for container image report enforce x 7d 6h info unix:///x _env_file"
)
words = st.sampled_from(WORDS.split())
scalars = words | st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.datetimes() | st.dates()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
policies = st.lists(
    st.dictionaries(st.sampled_from(["name", "kind", "mode", "select", "when", "x"]), values, max_size=5) | values,
    max_size=3,
)
files = st.dictionaries(words, values, max_size=4) | st.fixed_dictionaries(
    {"cleanup": st.fixed_dictionaries({"policies": policies}, optional={"grace": values, "protect": values})}
)
lenient = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def outcome(file: Path) -> Config | list[str]:
    """Return what a file comes to: a configuration, or what is wrong with it."""
    try:
        return load(file)
    except ConfigError as error:
        return error.problems


@lenient
@given(files)
@example({"cleanup": {"policies": [{}, {}]}})
@example({"cleanup": {"policies": {"name": "not a list"}}})
def test_any_toml_is_a_configuration_or_a_configuration_error(file: Path, content: dict[str, Any]) -> None:
    file.write_bytes(tomli_w.dumps(content).encode(errors="replace"))
    config = outcome(file)
    if isinstance(config, Config):
        assert loaded(file, as_toml(file)) == config
    else:
        assert config


variables = st.lists(words | st.text(alphabet="AZ_", max_size=4), min_size=1, max_size=3).map(
    lambda parts: "WATCHD_" + "__".join(parts).upper()
)
printable = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@lenient
@given(st.dictionaries(variables, words | printable | st.just('["a"]'), max_size=4))
def test_any_environment_is_a_configuration_or_a_configuration_error(file: Path, environment: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        file.write_text("")
        assert outcome(file)


class TestKeepAndCeilings:
    @pytest.mark.parametrize(
        ("keep", "problem"),
        [
            ("{}", "keep (old): keeps nothing: give last, within or, for images, newest_tag"),
            ('{per = "name"}', "keep (old): per needs last"),
            ('{last = 0, per = "host"}', "keep.last (old): should be greater than or equal to 1, not 0"),
            ("{newest_tag = true}", "keep.newest_tag (old): is for images"),
            ("{x = true}", 'keep.x (old): unknown key (write "last" or "within" or "per")'),
            ("{within = 7}", 'keep.within (old): 7 has no unit: write a duration like "90s", "12h" or "7d"'),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, file: Path, keep: str, problem: str) -> None:
        (told,) = problems(file, f"{POLICY}keep = {keep}\n")
        assert told == f"cleanup.policies[0].{problem}"

    @pytest.mark.parametrize("last", ["last = 2", 'last = 2, within = "1d"'])
    @pytest.mark.parametrize(
        ("kind", "further"), [("container", '"name", "compose_service"'), ("image", '"repository"')]
    )
    def test_images_and_containers_have_to_say_per_what_the_last_are_counted(
        self, file: Path, kind: str, further: str, last: str
    ) -> None:
        text = f'[[cleanup.policies]]\nname = "a"\nkind = "{kind}"\nkeep = {{{last}}}\n'
        missing = 'keep.per (a): is missing: write keep.per = "host" for the last 2 of all that the policy selects'
        (told,) = problems(file, text)
        assert told.startswith(f"cleanup.policies[0].{missing} (what it meant until now), or {further}")
        both = problems(file, "[cleanup]\ngrace = 5\n" + text)
        assert told in both, "beside other errors"
        assert len(both) == 2

    def test_other_kinds_count_all_together(self, file: Path) -> None:
        loaded(file, '[[cleanup.policies]]\nname = "a"\nkind = "network"\nkeep = {last = 2}\n')

    @pytest.mark.parametrize("per", ["repository", "host", "label:app.destination"])
    def test_groups_of_images(self, file: Path, per: str) -> None:
        text = f'[[cleanup.policies]]\nname = "a"\nkind = "image"\nkeep = {{last = 2, per = "{per}", by = "version"}}\n'
        (policy,) = loaded(file, text).cleanup.policies
        assert policy.keep is not None
        assert policy.keep.grouping == per

    @pytest.mark.parametrize("per", ["name", "label:", "label", ""])
    def test_another_group_is_refused_with_those_there_are(self, file: Path, per: str) -> None:
        text = f'[[cleanup.policies]]\nname = "a"\nkind = "image"\nkeep = {{last = 2, per = "{per}"}}\n'
        assert problems(file, text) == [
            f'cleanup.policies[0].keep.per (a): {per!r} is no group: use "repository", "host" or "label:<key>"'
        ]

    def test_versions_rank_the_last_and_nothing_else(self, file: Path) -> None:
        text = '[[cleanup.policies]]\nname = "a"\nkind = "image"\nkeep = {within = "1d", by = "version"}\n'
        assert problems(file, text) == ['cleanup.policies[0].keep (a): by = "version" needs last']

    def test_a_ceiling_needs_a_unit(self, file: Path) -> None:
        assert problems(file, "[cleanup]\nmax_bytes = 5") == [
            'cleanup.max_bytes: 5 has no unit: write a size like "500MB" or "20GiB"'
        ]

    def test_a_keep_is_a_condition(self, file: Path) -> None:
        file.write_text('[[cleanup.policies]]\nname = "last"\nkind = "image"\nkeep = {last = 2, per = "repository"}\n')
        (policy,) = load(file).cleanup.policies
        assert policy.keep is not None
        assert (policy.keep.last, policy.keep.grouping) == (2, "repository")


class TestPatternsThatCanMatchNothing:
    @pytest.mark.parametrize(
        ("pattern", "reason"),
        [
            ("!x*", 'excludes from nothing: write what it excludes from before it, like ["*", "!x*"]'),
            (
                r"^ghcr\\.io/.*",
                'which no name has: write globs over the whole name, with *, ? and [a-z], here "ghcr.io/*"',
            ),
            (
                "db|web",
                'has "|", which no name has: write globs over the whole name, with *, ? and [a-z], here "db", "web"',
            ),
            ("^(db|web)-.*$", 'here "db-*", "web-*"'),
            ("db$", 'here "db"'),
            ("", "is empty, and would match nothing: remove it"),
        ],
    )
    @pytest.mark.parametrize(
        "key",
        ["protect.images", "protect.containers", "policies[0].select.name", "policies[0].select.compose_service"],
    )
    def test_are_refused_with_what_to_write_instead(self, file: Path, key: str, pattern: str, reason: str) -> None:
        text = f'[cleanup]\n{key} = ["{pattern}"]\n'
        if key.startswith("policies"):
            text = f'{POLICY}{key.removeprefix("policies[0].")} = ["{pattern}"]\n'
        (told,) = problems(file, text)
        assert told.startswith(f"cleanup.{key}[0]")
        assert told.endswith(reason)

    def test_all_of_them_are_told_at_once_by_their_place(self, file: Path) -> None:
        text = '[cleanup.protect]\nimages = ["!a", "b|c", "good"]\nlabels = ["!x"]\nvolumes = ["good", "!d$"]\n'
        told = problems(file, text)
        assert [problem.partition(":")[0] for problem in told] == [
            "cleanup.protect.images[0]",
            "cleanup.protect.images[1]",
            "cleanup.protect.labels[0]",
            "cleanup.protect.volumes[1]",
        ]

    def test_labels_may_have_any_character_and_exclusions_may_follow(self, file: Path) -> None:
        text = '[cleanup.protect]\nlabels = ["team=^a|b$", "!team=(x)"]\nimages = ["*", "!tmp/*", "tmp/base:?"]\n'
        assert loaded(file, text).cleanup.protect.images == ("*", "!tmp/*", "tmp/base:?")

    @pytest.mark.parametrize("status", ["running", "paused", "restarting"])
    def test_a_container_that_runs_has_not_finished(self, file: Path, status: str) -> None:
        path = "cleanup.policies[0].select.status[0] (old): "
        reason = "finished_for never holds for a container that runs, and no policy removes one: write exited or dead"
        assert problems(file, f'{POLICY}select.status = ["{status}"]\n') == [path + reason]
        assert path + reason in problems(file, f'{POLICY}select.status = ["{status}"]\nschedule = "x"\n')
        loaded(file, f'{POLICY}select.status = ["{status}", "exited"]\n')
