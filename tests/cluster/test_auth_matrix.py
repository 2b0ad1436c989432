"""Each method in each TLS mode, by TLS and without, with right and wrong credentials; with psql, psycopg and
node-postgres, which share no code."""
import json
import os
import shutil
import subprocess

import psycopg
import pytest
from harness.directory import BASE, SLAPD, Directory
from harness.pooler import ROOT
from harness.postgres import PASSWORDS, PG_BIN

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler]

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
METHODS = {"monitor": "trust", "plain_user": "password", "md5_user": "md5", "scram_user": "scram-sha-256",
           "app": "ldap", "other": "cert"}
PEOPLE = {"app": "of the directory"}
LOGINS_JS = ROOT / "tests/cluster/drivers/logins.js"
NODE_PATH = f"{ROOT}/build/npm/node_modules:/usr/share/nodejs"


@pytest.fixture(scope="module")
def files(authority):
    """Of pgweir, of the user `other`, of somebody else."""
    return {name: authority.certificate(name, names) for name, names in
            {"pooler": ["DNS:localhost", "IP:127.0.0.1"], "other": (), "somebody": ()}.items()}


@pytest.fixture(scope="module")
def directory():
    if not SLAPD:
        return None
    with Directory(PEOPLE) as made:
        yield made


@pytest.fixture
def proxy(pgweir, authority, files, directory):
    def make(mode):
        cert, key = files["pooler"]
        made = pgweir(start=False, client_tls_sslmode=mode, client_tls_cert_file=cert, client_tls_key_file=key,
                      client_tls_ca_file=authority.file, auth_type="hba", auth_hba_file="@DIR@/hba.conf",
                      userlist=PASSWORDS)
        ldap = (f'ldapserver={directory.host} ldapport={directory.port} ldapprefix="uid="'
                f' ldapsuffix=",ou=people,{BASE}"' if directory else "")
        lines = [f"host all {user} 127.0.0.1/32 {method} {ldap if method == 'ldap' else ''}"
                 for user, method in METHODS.items() if method != "ldap" or directory]
        made.write("hba.conf", "\n".join([*lines, "host all postgres 127.0.0.1/32 reject", ""]))
        return made.start()
    return make


def attempts(directory):
    """(user, right or wrong, by TLS, whose certificate is shown)"""
    for by_tls in (False, True):
        for shown in ("", "other", "somebody") if by_tls else ("",):
            for user, method in METHODS.items():
                if method == "ldap" and not directory:
                    continue
                for right in (True, False) if method not in ("trust", "cert") else (True,):
                    yield user, right, by_tls, shown
            yield "postgres", True, by_tls, shown


def expected(mode, attempt):
    """The user, or a part of the refusal's text."""
    user, right, by_tls, shown = attempt
    if by_tls and mode == "disable":
        return "not support SSL"
    if not by_tls and mode in ("require", "verify-ca", "verify-full"):
        return "SSL required"
    if by_tls and not shown and mode in ("verify-ca", "verify-full"):
        return "certificate required"
    method = METHODS.get(user)
    if method is None:
        return "login rejected"
    if method == "cert" and shown != "other":
        return "certificate authentication failed"
    return user if right else "authentication failed"


def agrees(told, wanted):
    # A TLS refusal comes in the words of the client's own library.
    return told == wanted or ("error" in told and (wanted in told or wanted == "certificate required"))


def secret(user, right):
    return PEOPLE.get(user, PASSWORDS[user]) if right else "wrong"


def parameters(proxy, files, authority, attempt):
    user, right, by_tls, shown = attempt
    options = {"host": "127.0.0.1", "port": str(proxy.port), "user": user, "dbname": "app",
               "password": secret(user, right), "sslmode": "verify-full" if by_tls else "disable",
               "sslrootcert": str(authority.file), "gssencmode": "disable", "connect_timeout": "30",
               "sslcert": "/nonexistent", "sslkey": "/nonexistent", "passfile": "/nonexistent"}
    if shown:
        options["sslcert"], options["sslkey"] = map(str, files[shown])
    return options


def by_psycopg(_proxy, options):
    try:
        with psycopg.connect(**options) as link:
            return link.execute("select current_user").fetchone()[0]
    except psycopg.OperationalError as error:
        return f"error: {error}"


def by_psql(proxy, options):
    conninfo = " ".join(f"{name}='{value}'" for name, value in options.items())
    done = subprocess.run([PG_BIN / "psql", "-X", "-d", conninfo, "-Atc", "select current_user"], check=False,
                          capture_output=True, text=True, timeout=60, cwd=proxy.directory)
    return done.stdout.strip() if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("mode", MODES)
def test_libpq(proxy, authority, files, directory, mode):
    made = proxy(mode)
    for attempt in attempts(directory):
        options = parameters(made, files, authority, attempt)
        told = by_psycopg(made, options)
        assert agrees(told, expected(mode, attempt)), (attempt, told)
        if attempt[3] != "somebody":
            told = by_psql(made, options)
            assert agrees(told, expected(mode, attempt)), (attempt, told)


@pytest.mark.parametrize("mode", MODES)
def test_node(proxy, authority, files, directory, mode):
    environment = {**os.environ, "NODE_PATH": NODE_PATH}
    if not shutil.which("node") or subprocess.run(["node", "-e", "require('pg')"], check=False, timeout=60,
                                                  capture_output=True, env=environment).returncode != 0:
        pytest.skip("node with pg is not there: ./dev packages drivers")
    made = proxy(mode)
    tried = list(attempts(directory))
    options = []
    for user, right, by_tls, shown in tried:
        tls = {"ca": str(authority.file)} if by_tls else False
        if shown:
            tls["cert"], tls["key"] = map(str, files[shown])
        options.append({"host": "127.0.0.1", "port": made.port, "user": user, "database": "app",
                        "password": secret(user, right), "ssl": tls})
    done = subprocess.run(["node", LOGINS_JS, json.dumps(options)], check=True, capture_output=True, text=True,
                          timeout=240, env=environment)
    for attempt, told in zip(tried, json.loads(done.stdout), strict=True):
        assert agrees(told, expected(mode, attempt)), (attempt, told)
