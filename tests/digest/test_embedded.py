import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import environ
import psycopg
import pytest
import redis
from kombu import Connection

from digest import embedded
from digest.processes import CAP_DAC_READ_SEARCH, Account, Process, read_json, wait_until
from tests import processes
from tests.processes import holder

BOTH = "postgres,redis"
ALL = {embedded.POSTGRES, embedded.REDIS, embedded.CATCHER}


def query(var_dir: Path, sql: str) -> object:
    config = environ.Env.db_url_config(embedded.database_url(var_dir))
    with psycopg.connect(
        host=config["HOST"], port=config["PORT"], user=config["USER"], dbname=config["NAME"], autocommit=True
    ) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def service(var_dir: Path, name: str) -> Process:
    process = Process.read(read_json(var_dir / "run" / "warden.json")["services"][name])
    assert process is not None
    return process


def warden(var_dir: Path) -> Process:
    process = Process.read(read_json(var_dir / "run" / "warden.json"))
    assert process is not None
    return process


class TestAddresses:
    @pytest.mark.parametrize("folder", ["/srv/Paperboy/var", "/srv/a b+c%20é/var"])
    def test_are_read_back_whole_by_each_library(self, folder):
        assert environ.Env.db_url_config(embedded.database_url(folder)) == {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": f"{folder}/run/postgres",
            "PORT": 5432,
            "NAME": "paperboy",
            "USER": "paperboy",
            "PASSWORD": "",
        }
        with redis.Redis.from_url(embedded.redis_url(folder, db=3)) as client:
            settings = client.connection_pool.connection_kwargs
            assert (settings["path"], settings["db"]) == (f"{folder}/run/redis.sock", 3)

    def test_stay_short_for_a_deep_folder(self):
        deep = "/srv/" + "x" * 120 + "/var"

        sockets = [embedded.postgres_socket_dir(deep) / ".s.PGSQL.5432.lock", embedded.redis_socket(deep)]

        assert all(len(str(path)) < 100 for path in sockets)
        assert embedded.redis_socket(deep) == embedded.redis_socket(deep)
        assert embedded.redis_socket(deep) != embedded.redis_socket(deep + "2")


@pytest.mark.faults
class TestHold:
    def test_starts_the_services_and_stops_them_with_the_last_user(self, var_dir):
        with embedded.hold(var_dir, ALL):
            assert query(var_dir, "SELECT current_setting('fsync')") == "on"
            with Connection(embedded.broker_url(var_dir, db=5)) as broker:
                broker.default_channel.client.set("x", "1")  # type: ignore[attr-defined]
            with redis.Redis.from_url(embedded.redis_url(var_dir, db=5)) as client:
                assert client.get("x") == b"1"
            with embedded.hold(var_dir, {embedded.POSTGRES}):
                pass
            assert embedded.answers(var_dir, embedded.POSTGRES)

        assert processes.of(var_dir) == {}
        assert not embedded.answers(var_dir, embedded.POSTGRES)
        assert embedded.catcher_port(var_dir) is None

    def test_keeps_the_data(self, var_dir):
        with embedded.hold(var_dir, {embedded.POSTGRES}):
            query(var_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
        with embedded.hold(var_dir, {embedded.POSTGRES}):
            assert query(var_dir, "SELECT answer FROM kept") == 42

    def test_listens_nowhere_on_the_network(self, var_dir):
        with embedded.hold(var_dir, {embedded.POSTGRES, embedded.REDIS}):
            assert query(var_dir, "SELECT current_setting('listen_addresses')") == ""
            with redis.Redis.from_url(embedded.redis_url(var_dir)) as client:
                assert client.config_get("port") == {"port": "0"}

    def test_shares_them_among_processes(self, var_dir):
        with holder(var_dir, BOTH) as one:
            first = warden(var_dir)
            with embedded.hold(var_dir, {embedded.REDIS}):
                one.let_go()
                assert warden(var_dir) == first
                assert embedded.answers(var_dir, embedded.REDIS)

    def test_starts_them_once_for_many_at_once(self, var_dir):
        command = (
            "import sys; from digest import embedded\n"
            "with embedded.hold(sys.argv[1], {'postgres', 'redis'}):\n"
            "    assert embedded.answers(sys.argv[1], 'postgres')"
        )
        many = [
            subprocess.Popen([sys.executable, "-c", command, str(var_dir)], cwd=processes.REPOSITORY)
            for _ in range(4)
        ]

        assert [one.wait(timeout=60) for one in many] == [0] * 4
        assert processes.of(var_dir) == {}

    def test_keeps_instances_apart(self, var_dir):
        with tempfile.TemporaryDirectory(prefix="paperboy-test-") as other:
            with embedded.hold(var_dir, {embedded.POSTGRES}), embedded.hold(other, {embedded.POSTGRES}):
                query(var_dir, "CREATE TABLE here (x int)")
                assert query(Path(other), "SELECT to_regclass('here')") is None
            assert processes.of(Path(other)) == {}
        assert processes.of(var_dir) == {}

    def test_works_in_a_folder_too_deep_for_sockets(self, var_dir):
        deep = var_dir / ("d" * 60) / ("e" * 60)

        with embedded.hold(deep, {embedded.POSTGRES, embedded.REDIS}):
            assert query(deep, "SELECT 1") == 1
            folder = embedded.redis_socket(deep).parent
            assert folder.stat().st_mode & 0o066 == 0  # nobody else may list it or write into it

        assert not folder.exists()


@pytest.mark.faults
class TestAfterKill:
    def test_of_the_only_holder_the_services_end(self, var_dir):
        with holder(var_dir, "postgres,redis,catcher") as one:
            one.kill()

            assert processes.gone(var_dir, seconds=5)

    def test_of_one_holder_the_others_keep_them(self, var_dir):
        with holder(var_dir, BOTH) as one, holder(var_dir, BOTH) as other:
            postgres = service(var_dir, embedded.POSTGRES)
            one.kill()
            wait_until(lambda: False, seconds=1.5)

            assert service(var_dir, embedded.POSTGRES) == postgres
            assert embedded.answers(var_dir, embedded.POSTGRES)
            other.let_go()

    def test_of_the_warden_its_children_end_and_the_next_holder_recovers(self, var_dir):
        with holder(var_dir, "postgres,redis,catcher") as one:
            query(var_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
            children = [service(var_dir, name) for name in ALL]
            warden(var_dir).signal(signal.SIGKILL)

            assert all(child.ended(seconds=5) for child in children)
            one.kill()
            with embedded.hold(var_dir, ALL):
                assert query(var_dir, "SELECT answer FROM kept") == 42

    def test_of_the_warden_a_holder_can_have_it_back(self, var_dir):
        with embedded.hold(var_dir, {embedded.POSTGRES, embedded.REDIS}) as held:
            assert held.ensure() is False
            warden(var_dir).signal(signal.SIGKILL)
            wait_until(lambda: not embedded.answers(var_dir, embedded.POSTGRES), seconds=5)

            assert held.ensure() is True
            assert embedded.answers(var_dir, embedded.POSTGRES)
        assert processes.of(var_dir) == {}

    @pytest.mark.parametrize("name", sorted(ALL))
    def test_of_a_service_it_is_started_again(self, var_dir, name):
        with embedded.hold(var_dir, {name}):
            before = service(var_dir, name)
            before.signal(signal.SIGKILL)

            assert before.ended(seconds=5)
            assert wait_until(lambda: embedded.answers(var_dir, name), seconds=10)
        assert processes.of(var_dir) == {}

    def test_of_everything_at_once_the_next_start_recovers(self, var_dir):
        with holder(var_dir, BOTH) as one:
            query(var_dir, "CREATE TABLE kept AS SELECT 42 AS answer")
            for pid in processes.of(var_dir):
                with contextlib.suppress(ProcessLookupError):  # it ended with one killed before it
                    os.kill(pid, signal.SIGKILL)
            one.kill()
            assert (var_dir / "postgres" / "postmaster.pid").exists()

            with embedded.hold(var_dir, {embedded.POSTGRES, embedded.REDIS}):
                assert query(var_dir, "SELECT answer FROM kept") == 42

    def test_and_a_pid_given_out_again_the_next_start_is_not_fooled(self, var_dir):
        with embedded.hold(var_dir, {embedded.POSTGRES}):
            pass
        stranger = str(os.getppid())  # alive, and no PostgreSQL
        lines = [stranger, str(var_dir / "postgres"), "1", "5432", "", "", "", "ready"]
        (var_dir / "postgres" / "postmaster.pid").write_text("\n".join(lines))
        (var_dir / "run" / "postgres" / ".s.PGSQL.5432.lock").write_text("\n".join(lines))

        with embedded.hold(var_dir, {embedded.POSTGRES}, patience=20):
            assert query(var_dir, "SELECT 1") == 1

    def test_in_the_middle_of_initdb_the_next_start_begins_anew(self, var_dir):
        half = var_dir / "postgres.new-1234"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18")

        with embedded.hold(var_dir, {embedded.POSTGRES}):
            assert query(var_dir, "SELECT 1") == 1
        assert not half.exists()

    def test_of_a_warden_whose_postmaster_lives_on_the_next_start_ends_that_one(self, var_dir):
        with holder(var_dir, "postgres") as one:
            postmaster = service(var_dir, embedded.POSTGRES)
            postmaster.signal(signal.SIGSTOP)  # too deaf to hear of its parent's end
            warden(var_dir).signal(signal.SIGKILL)
            one.kill()
            assert postmaster.alive()
            resume = subprocess.Popen(["sh", "-c", f"sleep 2; kill -CONT {postmaster.pid}"])

            with embedded.hold(var_dir, {embedded.POSTGRES}):
                assert query(var_dir, "SELECT 1") == 1
                assert not postmaster.alive()
            resume.wait()


@pytest.mark.faults
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
class TestAccounts:
    def test_postgres_runs_as_somebody_else_for_root_behind_closed_folders(self, var_dir):
        var_dir.chmod(0o700)  # as /root is

        with embedded.hold(var_dir, {embedded.POSTGRES}):
            assert query(var_dir, "SELECT 1") == 1
            owner = processes.user_of(service(var_dir, embedded.POSTGRES).pid)

        assert owner == (var_dir / "postgres").stat().st_uid != 0
        assert var_dir.stat().st_mode & 0o777 == 0o700

    def test_everything_works_for_an_ordinary_user(self, var_dir, ordinary_user):
        os.chown(var_dir, ordinary_user.uid, ordinary_user.gid)

        with holder(var_dir, "postgres,redis,catcher", account=ordinary_user) as one:
            assert query(var_dir, "SELECT 1") == 1
            owners = {processes.user_of(pid) for pid in processes.of(var_dir)}
            one.let_go()

        assert owners == {ordinary_user.uid}

    def test_a_folder_of_somebody_else_is_named_with_its_cure(self, var_dir, ordinary_user):
        (var_dir / "run").mkdir()
        os.chown(var_dir / "run", ordinary_user.uid, ordinary_user.gid)

        words = r"belongs to nobody, and this is root\. .* set VAR_DIR to"
        with (
            pytest.raises(embedded.ServiceFailed, match=words),
            embedded.hold(var_dir, {embedded.REDIS}),
        ):
            pass


@pytest.fixture
def ordinary_user() -> Account:
    """Somebody without rights, but able to reach this interpreter even behind closed folders."""
    known = pwd.getpwnam("nobody")
    account = Account(known.pw_uid, known.pw_gid)
    if embedded._passable(Path(sys.executable).resolve(), account):
        return account
    return account._replace(capability=CAP_DAC_READ_SEARCH)


@pytest.mark.faults
class TestFailure:
    def test_is_reported_with_the_end_of_the_log(self, var_dir):
        with embedded.hold(var_dir, {embedded.POSTGRES}):
            pass
        (var_dir / "postgres" / "PG_VERSION").unlink()

        problem = pytest.raises(embedded.ServiceFailed, match=r"postgres\.log:\n(?s:.*)PG_VERSION")
        with problem, embedded.hold(var_dir, {embedded.POSTGRES}, patience=20):
            pass
        assert processes.of(var_dir) == {}

    def test_leaves_a_taken_socket_path_to_its_owner(self, var_dir):
        (var_dir / "run").mkdir()
        (var_dir / "run" / "redis.sock").mkdir()  # nothing Redis could replace

        problem = pytest.raises(embedded.ServiceFailed, match=r"redis\.log")
        with problem, embedded.hold(var_dir, {embedded.REDIS}, patience=20):
            pass


def test_no_wheel_and_no_server_says_what_to_do(monkeypatch):
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(embedded.shutil, "which", lambda _name: None)
    monkeypatch.setattr(embedded.Path, "glob", lambda _self, _pattern: [])

    with pytest.raises(embedded.ServiceFailed, match="Install PostgreSQL 14 or later, or set DATABASE_URL"):
        embedded._postgres_binaries()


def test_only_loopback_is_reached_in_tests():
    with pytest.raises(UserWarning, match=r"192\.0\.2\.1"):  # an error, as every warning here
        socket.create_connection(("192.0.2.1", 80), timeout=1)
