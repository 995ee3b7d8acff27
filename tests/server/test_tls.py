"""TLS towards callers and towards model servers."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from guardrail.server.identity import Scope
from tests.integrations.upstream import Upstream, upstream
from tests.server.conftest import CLEAN, KEY
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cert.pem`, which stands for 127.0.0.1 and vouches for itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "guardrail")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder


@pytest.fixture(scope="module")
def behind_tls(certificate: Path) -> Iterator[Upstream]:
    """A model server that speaks TLS."""
    with upstream() as fake:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        fake.socket = context.wrap_socket(fake.socket, server_side=True)
        yield fake


@pytest.fixture(scope="module")
def secure(
    settings: dict[str, Any],
    certificate: Path,
    behind_tls: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    listen = {"tls_cert": str(certificate / "cert.pem"), "tls_key": str(certificate / "key.pem")}
    url = behind_tls.url.replace("http:", "https:")
    given = {**settings, "listen": listen, "upstreams": {"far": {"url": url}}}
    with running(tmp_path_factory.mktemp("secure"), given, KEY) as up:
        yield up


def test_it_speaks_tls_and_nothing_else(secure: Running, certificate: Path) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    headers = secure.headers(Scope.MODERATE)
    answer = httpx.post(
        f"{secure.url}/v1/check", json={"text": CLEAN}, headers=headers, verify=trusted, timeout=60
    )
    assert answer.json()["action"] == "allow"
    with pytest.raises(httpx.HTTPError):
        httpx.get(secure.url.replace("https:", "http:") + "/livez", timeout=10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{secure.url}/livez", timeout=10)  # nobody vouches for it


def test_old_versions_are_refused(secure: Running) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{secure.url}/livez", verify=old, timeout=10)


def test_a_model_server_that_nobody_vouches_for_is_not_asked(
    secure: Running, behind_tls: Upstream
) -> None:
    answer = httpx.post(
        f"{secure.url}/v1/chat/completions",
        json={"model": "m", "messages": []},
        headers=secure.headers(Scope.PROXY),
        verify=False,
        timeout=60,
    )
    assert answer.status_code == 502
    assert not behind_tls.requests
